/* Has as many children at once as it is told, if it may; says how many, and lets them go, after as many seconds as it is told. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv) {
    int wanted = atoi(argv[1]), n = 0;
    setpgid(0, 0);
    for (; n < wanted; n++) {
        pid_t pid = fork();
        if (pid < 0) break;
        if (pid == 0) {
            pause();
            _exit(0);
        }
    }
    printf("%d\n", n);
    fflush(stdout);
    if (argc > 2) sleep(atoi(argv[2]));
    signal(SIGTERM, SIG_IGN);
    kill(0, SIGTERM);
}
