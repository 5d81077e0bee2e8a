/* hopper COUNT SECONDS: COUNT processes, each of which forks and ends, and its child again, until SECONDS are over. Says "up". */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int count = atoi(argv[1]);
    time_t end = time(0) + atoi(argv[2]);
    signal(SIGHUP, SIG_IGN);
    signal(SIGCHLD, SIG_IGN);
    puts("up");
    fflush(stdout);
    close(0), close(1), close(2);
    for (int n = 0; n < count; n++)
        if (fork() == 0)
            while (time(0) < end)
                if (fork() > 0)
                    _exit(0);
    return 0;
}
