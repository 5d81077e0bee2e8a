/* Uses as many MiB as it is told, and says so. */
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
