/*
 * A process that counts while it runs, to see whether it does.
 *
 * usage: counts MIB
 *
 * Touches MIB of private memory, prints `count ADDRESS`, where the number is, eight bytes behind
 * that memory, then `ready PID`, and counts about once in a millisecond. Ends when its standard
 * input does.
 */
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argument_count, char **arguments) {
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    if (argument_count != 2)
        return 2;
    const size_t bytes = (size_t)atoi(arguments[1]) * 1024 * 1024;
    unsigned char *memory = mmap(NULL, bytes + sizeof(uint64_t), PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return 1;
    memset(memory, 1, bytes);
    volatile uint64_t *count = (volatile uint64_t *)(void *)(memory + bytes);
    *count = 1;
    printf("count %p\nready %d\n", (void *)(memory + bytes), (int)getpid());
    fflush(stdout);
    while (poll(&input, 1, 1) == 0)
        ++*count;
    return 0;
}
