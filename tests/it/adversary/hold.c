/* hold KIND COUNT SIZE: fills the buffers of COUNT pairs of sockets, which nobody reads meanwhile, with messages of SIZE bytes, then reads them, and says how
 * many MiB there were. With "netlink" it is COUNT sockets, and the kernel's answers to SIZE questions about an interface. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char data[65536];

static void widen(int s)
{
    int size = 1 << 20;
    setsockopt(s, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    setsockopt(s, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

static int pair(int kind, int ends[2])
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;
    int s = socket(AF_INET, kind, 0);
    if (s < 0)
        return -1;
    widen(s);
    if (bind(s, (void *)&at, sizeof at) != 0 || getsockname(s, (void *)&at, &length) != 0)
        return -1;
    if (kind == SOCK_STREAM && listen(s, 1) != 0)
        return -1;
    ends[0] = socket(AF_INET, kind, 0);
    if (ends[0] < 0)
        return -1;
    widen(ends[0]);
    if (connect(ends[0], (void *)&at, sizeof at) != 0)
        return -1;
    if (kind == SOCK_DGRAM) {
        ends[1] = s;
        return 0;
    }
    ends[1] = accept(s, 0, 0);
    close(s);
    return ends[1] < 0 ? -1 : 0;
}

static int asks(int ends[2])
{
    ends[0] = ends[1] = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    if (ends[0] >= 0)
        widen(ends[0]);
    return ends[0] < 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
    int count = atoi(argv[2]), size = atoi(argv[3]), have = 0;
    int (*ends)[2] = calloc(count, sizeof *ends);
    struct { struct nlmsghdr header; struct ifinfomsg link; } ask = {
        {sizeof ask, RTM_GETLINK, NLM_F_REQUEST, 1, 0}, {.ifi_index = 1}};
    int netlink = strcmp(argv[1], "netlink") == 0;
    for (; have < count; have++) {
        if ((netlink ? asks(ends[have]) : pair(strcmp(argv[1], "tcp") ? SOCK_DGRAM : SOCK_STREAM, ends[have])) != 0)
            break;
        for (int n = 0; n < (netlink ? size : 4096); n++)
            if (send(ends[have][0], netlink ? (void *)&ask : data, netlink ? sizeof ask : size, MSG_DONTWAIT) < 0)
                break;
    }
    long long held = 0;
    for (int n = 0; n < have; n++) {
        ssize_t got;
        /* A netlink socket first says that something was lost. */
        while ((got = recv(ends[n][1], data, sizeof data, MSG_DONTWAIT)) > 0 || (got < 0 && errno == ENOBUFS))
            held += got > 0 ? got : 0;
    }
    printf("%lld MiB in %d\n", held >> 20, have);
    return 0;
}
