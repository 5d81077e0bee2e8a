/* Starts as many sleeping children as its first argument says, if fork(2) allows; prints how many there are, and ends them after the seconds of its second argument. */
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
