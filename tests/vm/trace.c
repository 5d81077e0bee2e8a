/* trace SECONDS: attaches with ptrace(2) to each process that it may signal, and prints `attached PID`.
 * It holds the processes for SECONDS more, so that the test can look at them from outside, does
 * nothing else with them, and they continue when it ends. */
#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
    static char have[32768];
    int seconds = atoi(argv[1]), found = 0, attached = 0;
    time_t end = time(NULL) + seconds;
    do {
        for (pid_t pid = 2; pid < (pid_t)sizeof have; pid++) {
            if (have[pid] == 2 || pid == getpid() || pid == getppid() || kill(pid, 0) != 0) continue;
            if (!have[pid]) found++;
            have[pid] = 1;
            if (ptrace(PTRACE_ATTACH, pid, NULL, NULL) != 0) continue;
            waitpid(pid, NULL, __WALL);
            have[pid] = 2;
            attached++;
            printf("attached %d\n", pid);
            fflush(stdout);
        }
    } while (time(NULL) < end);
    printf("found %d, attached %d\n", found, attached);
    fflush(stdout);
    sleep(seconds);
}
