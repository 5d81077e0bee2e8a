/* Hands an open directory to another process over a Unix socket, and climbs from one that was handed over.
 *   passer send ADDRESS DIRECTORY   waits for one client, gives it DIRECTORY, says "given"
 *   passer take ADDRESS             takes a directory, climbs, says "out" if the host's canary was seen and "in" if not
 *   passer try ADDRESS              says "answered" if somebody listens there
 * An address that begins with @ is an abstract one. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static socklen_t address(struct sockaddr_un *to, const char *text)
{
    memset(to, 0, sizeof *to);
    to->sun_family = AF_UNIX;
    strncpy(to->sun_path, text, sizeof to->sun_path - 1);
    if (text[0] == '@')
        to->sun_path[0] = 0;
    return offsetof(struct sockaddr_un, sun_path) + strlen(text);
}

static int climb(int at)
{
    int seen = 0;
    if (fchdir(at) != 0)
        return 0;
    for (int level = 0; level < 64; level++) {
        seen |= access("canary", F_OK) == 0;
        if (chdir("..") != 0)
            break;
    }
    /* Without the right to be there, but with a name for it. */
    for (int level = 0; level < 64 && at >= 0; level++) {
        seen |= faccessat(at, "canary", F_OK, 0) == 0;
        at = openat(at, "..", O_PATH | O_DIRECTORY);
    }
    return seen;
}

int main(int argc, char **argv)
{
    struct sockaddr_un where;
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    socklen_t length = address(&where, argv[2]);
    char byte = '.';
    union { struct cmsghdr header; char space[CMSG_SPACE(sizeof(int))]; } control;
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};

    if (strcmp(argv[1], "send") == 0) {
        int given = open(argv[3], O_RDONLY | O_DIRECTORY);
        if (given < 0 || bind(s, (void *)&where, length) != 0 || listen(s, 1) != 0)
            return 1;
        puts("waits");
        fflush(stdout);
        int client = accept(s, 0, 0);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.header), &given, sizeof given);
        if (sendmsg(client, &message, 0) != 1)
            return 1;
        puts("given");
        fflush(stdout);
        /* The one who took it lives in what this one's namespaces hold. */
        read(client, &byte, 1);
        return 0;
    }
    if (connect(s, (void *)&where, length) != 0) {
        puts("nobody");
        return 0;
    }
    if (strcmp(argv[1], "try") == 0) {
        puts("answered");
        return 0;
    }
    int taken = -1;
    if (recvmsg(s, &message, 0) != 1 || control.header.cmsg_type != SCM_RIGHTS)
        return 1;
    memcpy(&taken, CMSG_DATA(&control.header), sizeof taken);
    puts(climb(taken) ? "out" : "in");
    return 0;
}
