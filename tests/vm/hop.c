/* hop N SECONDS: N processes, each of which forks and exits for ever, so that a process found in
 * /proc no longer exists when it is killed. They begin when all of them exist, and exit by themselves
 * after SECONDS. */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
    int processes = argc > 2 ? atoi(argv[1]) : 0, all[2];
    time_t end = time(NULL) + (argc > 2 ? atoi(argv[2]) : 0);
    char byte;
    if (pipe(all) < 0) return 1;
    while (--processes > 0 && fork() > 0);
    /* The parent's end is the last one to be closed. */
    close(all[1]);
    if (read(all[0], &byte, 1) < 0) return 1;
    close(all[0]);
    while (time(NULL) < end)
        if (fork() > 0) _exit(0);
}
