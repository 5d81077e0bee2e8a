/* Uses as many MiB as its argument says, and prints that it does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    for (int n = atoi(argv[1]); n > 0; n--) {
        char *piece = malloc(1 << 20);
        if (!piece) return 3;
        memset(piece, n, 1 << 20);
    }
    puts("had it all");
}
