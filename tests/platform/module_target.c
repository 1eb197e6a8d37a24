/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef WITH_LIBRARIES
#include <dlfcn.h>
#endif

/*
 * A program that maps files and stands still: "load PATH" loads a library, "map PATH" maps a file
 * as data, in the order of its arguments. Writes one line, "ready" or what failed, and waits to be
 * killed.
 */

static const char *load(const char *path) {
#ifdef WITH_LIBRARIES
    return dlopen(path, RTLD_NOW) != NULL ? NULL : dlerror();
#else
    return path;
#endif
}

static const char *map(const char *path) {
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &status) != 0)
        return "open";
    void *mapped = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    close(file);
    return mapped != MAP_FAILED ? NULL : "mmap";
}

int main(int argc, char **argv) {
    prctl(PR_SET_PDEATHSIG, 9);
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *problem = strcmp(argv[i], "load") == 0 ? load(argv[i + 1]) : map(argv[i + 1]);
        if (problem != NULL) {
            printf("%s\n", problem);
            return 1;
        }
    }
    puts("ready");
    fflush(stdout);
    for (;;)
        pause();
}
