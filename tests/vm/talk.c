/* talk listen PORT: counts the TCP connections and UDP datagrams that arrive at the port until
 * SIGTERM, then prints `heard N`.
 * talk to SECONDS ADDRESS:PORT...: connects to each address by TCP and sends it a UDP datagram, in
 * turn, for SECONDS; then prints `tried N, reached M`, M being the TCP connections. IPv4 only. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t over;
static void end(int signal) { (void)signal; over = 1; }

static int listener(int port) {
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(port)};
    int one = 1, heard = 0;
    struct pollfd sockets[2] = {{.fd = socket(AF_INET, SOCK_STREAM, 0), .events = POLLIN}, {.fd = socket(AF_INET, SOCK_DGRAM, 0), .events = POLLIN}};
    setsockopt(sockets[0].fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    for (int i = 0; i < 2; i++)
        if (bind(sockets[i].fd, (struct sockaddr *)&own, sizeof own) < 0) { perror("bind"); return 1; }
    listen(sockets[0].fd, 64);
    struct sigaction action = {.sa_handler = end};
    sigaction(SIGTERM, &action, NULL);
    puts("listening");
    fflush(stdout);
    while (!over) {
        char byte;
        if (poll(sockets, 2, 1000) <= 0) continue;
        if (sockets[0].revents) { int peer = accept(sockets[0].fd, NULL, NULL); if (peer >= 0) { heard++; close(peer); } }
        if (sockets[1].revents && recv(sockets[1].fd, &byte, 1, MSG_DONTWAIT) >= 0) heard++;
    }
    printf("heard %d\n", heard);
    return 0;
}

int main(int argc, char **argv) {
    if (!strcmp(argv[1], "listen")) return listener(atoi(argv[2]));
    time_t until = time(NULL) + atoi(argv[2]);
    int tried = 0, reached = 0;
    do {
        for (int i = 3; i < argc; i++) {
            char address[64];
            snprintf(address, sizeof address, "%s", argv[i]);
            char *port = strchr(address, ':');
            *port = 0;
            struct sockaddr_in other = {.sin_family = AF_INET, .sin_port = htons(atoi(port + 1))};
            inet_pton(AF_INET, address, &other.sin_addr);
            int datagram = socket(AF_INET, SOCK_DGRAM, 0), stream = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
            sendto(datagram, "x", 1, MSG_DONTWAIT, (struct sockaddr *)&other, sizeof other);
            close(datagram);
            tried++;
            int error = 0;
            socklen_t length = sizeof error;
            if (connect(stream, (struct sockaddr *)&other, sizeof other) < 0 && errno == EINPROGRESS) {
                struct pollfd ready = {.fd = stream, .events = POLLOUT};
                error = poll(&ready, 1, 100) == 1 ? 0 : ETIMEDOUT;
                if (!error) getsockopt(stream, SOL_SOCKET, SO_ERROR, &error, &length);
                if (!error) reached++;
            }
            close(stream);
        }
    } while (time(NULL) < until);
    printf("tried %d, reached %d\n", tried, reached);
}
