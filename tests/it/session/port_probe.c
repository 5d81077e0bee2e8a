/* Asks and answers at ports.
 *   wire serve tcp|udp PORT [FILE]   says "listens", then tells everybody who asks: PORT of HOST to ADDRESS; and adds that to FILE
 *   wire ask tcp|udp ADDRESS PORT    prints the answer; "refused", or "nothing" where none came in time */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static struct sockaddr_in at(const char *address, const char *port)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };
    inet_pton(AF_INET, address, &to.sin_addr);
    return to;
}

static int serve(int kind, const char *port, const char *file)
{
    char host[64], text[256], word[16], from[64];
    struct sockaddr_in own = at("0.0.0.0", port), who;
    socklen_t length;
    int yes = 1, s = socket(AF_INET, kind, 0);
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(s, (void *)&own, sizeof own) != 0 || (kind == SOCK_STREAM && listen(s, 9) != 0)) {
        perror("wire");
        return 1;
    }
    gethostname(host, sizeof host);
    puts("listens");
    fflush(stdout);
    for (;;) {
        length = sizeof who;
        int c = s;
        if (kind == SOCK_STREAM)
            c = accept(s, (void *)&who, &length);
        else
            recvfrom(s, word, sizeof word, 0, (void *)&who, &length);
        inet_ntop(AF_INET, &who.sin_addr, from, sizeof from);
        snprintf(text, sizeof text, "%s of %s to %s\n", port, host, from);
        FILE *seen = file != NULL ? fopen(file, "a") : NULL;
        if (seen != NULL) {
            fputs(text, seen);
            fclose(seen);
        }
        if (kind == SOCK_STREAM) {
            send(c, text, strlen(text), MSG_NOSIGNAL);
            close(c);
        } else {
            sendto(c, text, strlen(text), 0, (void *)&who, length);
        }
    }
}

static int ask(int kind, const char *address, const char *port)
{
    char text[256];
    struct timeval limit = { .tv_usec = 700000 };
    struct sockaddr_in to = at(address, port);
    int s = socket(AF_INET, kind, 0);
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    ssize_t n = -1;
    if (connect(s, (void *)&to, sizeof to) == 0 && (kind == SOCK_STREAM || send(s, "?", 1, 0) == 1))
        n = recv(s, text, sizeof text, 0);
    if (n <= 0) {
        puts(errno == ECONNREFUSED ? "refused" : "nothing");
        return 1;
    }
    fwrite(text, 1, n, stdout);
    return 0;
}

int main(int argc, char **argv)
{
    int kind = argc > 2 && strcmp(argv[2], "udp") == 0 ? SOCK_DGRAM : SOCK_STREAM;
    if ((argc == 4 || argc == 5) && strcmp(argv[1], "serve") == 0)
        return serve(kind, argv[3], argv[4]);
    if (argc == 5 && strcmp(argv[1], "ask") == 0)
        return ask(kind, argv[3], argv[4]);
    return 2;
}
