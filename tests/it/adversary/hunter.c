/* What a process that was left in a jail's old tree tries on others of its user id, for SECONDS:
 *   hunter kill SECONDS     sends SIGKILL to each that was not there when it began
 *   hunter reach SECONDS    takes descriptor 9 of each (pidfd_getfd(2), which asks for the right to trace it), climbs from it, and says
 *                           "out" where it sees the host's canary
 * Says "up" when it begins, and "took N" at the end, which is also when there is something on its standard input: how many it could kill, or
 * take a descriptor of. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 1 << 16 };
static char known[MOST];

static int climbs_out(int at)
{
    if (fchdir(at) != 0)
        return 0;
    for (int level = 0; level < 16; level++) {
        if (access("canary", F_OK) == 0)
            return 1;
        if (chdir("..") != 0)
            return 0;
    }
    return 0;
}

int main(int argc, char **argv)
{
    int kills = strcmp(argv[1], "kill") == 0, took = 0, last = 1;
    time_t end = time(0) + atoi(argv[2]);
    for (int pid = 1; pid < MOST; pid++)
        if ((known[pid] = kill(pid, 0) == 0))
            last = pid;
    if (last < getpid())
        last = getpid();
    puts("up");
    fflush(stdout);
    struct pollfd input = {0, POLLIN, 0};
    while (time(0) < end && poll(&input, 1, 0) == 0) {
        /* Where pids begin again, it does as well. */
        for (int pid = 2; pid < last + 2000 && pid < MOST; pid++) {
            if (known[pid] || pid == getpid() || kill(pid, 0) != 0)
                continue;
            if (pid > last)
                last = pid;
            if (kills) {
                took += kill(pid, SIGKILL) == 0;
                continue;
            }
            int process = syscall(SYS_pidfd_open, pid, 0);
            int fd = process < 0 ? -1 : syscall(SYS_pidfd_getfd, process, 9, 0);
            if (fd >= 0) {
                took++;
                if (climbs_out(fd))
                    puts("out");
                close(fd);
            }
            close(process);
        }
    }
    printf("took %d\n", took);
    return 0;
}
