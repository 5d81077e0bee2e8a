/* Holds a working directory and a descriptor of /usr/bin, and tries to climb out of the jail by both, over and over, until its input ends.
 * Prints "holding" when it does, and at the end how often it tried and how often it saw the host's canary. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

static int by_descriptor(int start)
{
    int at = dup(start), seen = 0;
    for (int level = 0; at >= 0 && level < 64; level++) {
        seen |= faccessat(at, "canary", F_OK, 0) == 0;
        int up = openat(at, "..", O_PATH | O_DIRECTORY);
        close(at);
        at = up;
    }
    if (at >= 0)
        close(at);
    return seen;
}

static int by_walking(int start)
{
    int seen = 0;
    for (int level = 0; level < 64 && chdir("..") == 0; level++)
        seen |= access("canary", F_OK) == 0;
    fchdir(start);
    return seen;
}

int main(void)
{
    struct pollfd input = {.fd = 0, .events = POLLIN};
    long tries = 0, out = 0;
    int held;

    if (chdir("/usr/bin") != 0 || (held = open(".", O_RDONLY | O_DIRECTORY)) < 0)
        return 1;
    puts("holding");
    fflush(stdout);
    do {
        tries++;
        out += by_descriptor(held) || by_walking(held);
    } while (poll(&input, 1, 0) == 0);
    printf("tries %ld out %ld\n", tries, out);
    return 0;
}
