/* Reaches for what is another's.
 *   grip trace PID          "traced" if it could be attached to
 *   grip signal PID         "reached" if it could be sent a signal
 *   grip signal all         how many of the first 4194304 numbers, its own process left out, are processes it may signal
 *   grip make NAME          makes a key of that name in its session keyring and in its user's, says both numbers, and waits
 *   grip read NUMBER        the key's content, or "refused"
 *   grip find NAME          the same for a key that is found by its name in what this process possesses
 *   grip send ADDRESS       waits at an abstract socket for one who asks, and gives a handle of its own process
 *   grip take ADDRESS       takes it and kills by it: "killed", "refused", or "nobody" */
#define _GNU_SOURCE
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SESSION = -3, USER = -4, READ = 11, SETPERM = 5, SEARCH = 10 };

static int tell(const char *word)
{
    puts(word);
    fflush(stdout);
    return 0;
}

static int content(long key)
{
    char text[64] = "";
    if (key < 0 || syscall(SYS_keyctl, READ, key, text, sizeof text - 1, 0) < 0)
        return tell("refused");
    return tell(text);
}

static int socket_at(const char *name, struct sockaddr_un *where, socklen_t *length)
{
    memset(where, 0, sizeof *where);
    where->sun_family = AF_UNIX;
    strncpy(where->sun_path + 1, name, sizeof where->sun_path - 2);
    *length = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name);
    return socket(AF_UNIX, SOCK_STREAM, 0);
}

static int pass(int sends, const char *name)
{
    struct sockaddr_un where;
    socklen_t length;
    char byte = '.';
    int s = socket_at(name, &where, &length);
    union { struct cmsghdr header; char space[CMSG_SPACE(sizeof(int))]; } control = {0};
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    if (sends) {
        int own = syscall(SYS_pidfd_open, getpid(), 0);
        if (bind(s, (void *)&where, length) != 0 || listen(s, 1) != 0)
            return 1;
        tell("waits");
        int client = accept(s, 0, 0);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.header), &own, sizeof own);
        sendmsg(client, &message, 0);
        return read(client, &byte, 1) != 0;
    }
    int taken = -1;
    if (connect(s, (void *)&where, length) != 0)
        return tell("nobody");
    if (recvmsg(s, &message, 0) != 1)
        return 1;
    memcpy(&taken, CMSG_DATA(&control.header), sizeof taken);
    return tell(syscall(SYS_pidfd_send_signal, taken, SIGKILL, 0, 0) == 0 ? "killed" : "refused");
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    long number = atol(argv[2]);
    if (strcmp(argv[1], "trace") == 0) {
        if (ptrace(PTRACE_ATTACH, number, 0, 0) != 0)
            return tell("refused");
        waitpid(number, 0, 0);
        ptrace(PTRACE_DETACH, number, 0, 0);
        return tell("traced");
    }
    if (strcmp(argv[1], "signal") == 0 && strcmp(argv[2], "all") == 0) {
        int reached = 0;
        for (long pid = 1; pid < 4194304; pid++)
            reached += pid != getpid() && kill(pid, 0) == 0;
        printf("%d\n", reached);
        return 0;
    }
    if (strcmp(argv[1], "signal") == 0)
        return tell(kill(number, 0) == 0 ? "reached" : "refused");
    if (strcmp(argv[1], "make") == 0) {
        long session = syscall(SYS_add_key, "user", argv[2], "secret", 6, SESSION);
        long user = syscall(SYS_add_key, "user", argv[2], "secret", 6, USER);
        printf("%ld %ld made\n", session, user);
        fflush(stdout);
        char line[8];
        return fgets(line, sizeof line, stdin) == 0;
    }
    if (strcmp(argv[1], "read") == 0)
        return content(number);
    if (strcmp(argv[1], "find") == 0)
        return content(syscall(SYS_request_key, "user", argv[2], 0, 0));
    if (strcmp(argv[1], "send") == 0)
        return pass(1, argv[2]);
    if (strcmp(argv[1], "take") == 0)
        return pass(0, argv[2]);
    return 2;
}
