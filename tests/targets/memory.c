/*
 * A process that has memory of every kind, each with known bytes, to compare dumps with.
 *
 * usage: memory MIB FILE
 *
 * Prints a line for each piece: `area NAME ADDRESS BYTES SEED TYPES`. TYPES are the dump types
 * whose bits ask for it, 0 for what no dump must hold. Its words are SEED plus their own address,
 * unless SEED is 0. MIB of private memory more are touched. Then prints `ready PID`. Ends when its
 * standard input does.
 */
#include "target_memory.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

enum { PAGE = 4096, HUGE = 2 * 1024 * 1024, ROOM = 64 * 1024 * 1024 };
enum { NOWHERE = 0, DATA = 0x1, FULL = 0x2, PRIVATE = 0x200 };

/* Addresses that belong to nobody else, so that nothing is joined with what is not known here. */
static unsigned char *room;
static size_t room_used;

static uint64_t next_seed(void) {
    static uint64_t seed;
    return seed += UINT64_C(0x9e3779b97f4a7c15);
}

static _Noreturn void fail(const char *what) {
    perror(what);
    exit(1);
}

static void tell(const char *name, const volatile void *at, size_t bytes, uint64_t seed,
                 unsigned types) {
    printf("area %s %#lx %zu %#lx %u\n", name, (unsigned long)(uintptr_t)at, bytes,
           (unsigned long)seed, types);
}

static uint64_t fill(volatile void *at, size_t bytes) {
    volatile uint64_t *words = at;
    uint64_t seed = next_seed();
    for (size_t i = 0; i < bytes / 8; i++)
        words[i] = seed + (uint64_t)(uintptr_t)&words[i];
    return seed;
}

static void touch(const volatile unsigned char *at, size_t bytes) {
    for (size_t i = 0; i < bytes; i += PAGE)
        (void)at[i];
}

/* A mapping with nothing beside it. */
static unsigned char *map(size_t bytes, int protection, int flags, int file) {
    unsigned char *at = room + room_used;
    room_used += bytes + PAGE;
    if (mmap(at, bytes, protection, flags | MAP_FIXED, file, 0) != at)
        fail("mmap");
    return at;
}

static unsigned char *map_anonymous(size_t bytes) {
    return map(bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

static void protect(void *at, size_t bytes, int protection) {
    if (mprotect(at, bytes, protection) != 0)
        fail("mprotect");
}

static void anonymous(void) {
    unsigned char *at = map_anonymous(16 * PAGE);
    for (size_t i = 0; i < 16; i++)
        tell(i % 3 == 0 ? "sparse" : "sparse-untouched", at + i * PAGE, PAGE,
             i % 3 == 0 ? fill(at + i * PAGE, PAGE) : 0, i % 3 == 0 ? FULL | PRIVATE : NOWHERE);
    tell("untouched", map_anonymous(1024 * PAGE), 1024 * PAGE, 0, NOWHERE);
    at = map_anonymous(2 * PAGE);
    touch(at, 2 * PAGE);
    tell("only-read", at, 2 * PAGE, 0, FULL | PRIVATE);
    at = map_anonymous(8 * PAGE);
    tell("forbidden", at, 8 * PAGE, fill(at, 8 * PAGE), FULL);
    protect(at, 8 * PAGE, PROT_NONE);
    tell("forbidden-untouched", map(8 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1), 8 * PAGE,
         0, NOWHERE);
    at = map_anonymous(3 * PAGE);
    tell("read-only", at, 3 * PAGE, fill(at, 3 * PAGE), FULL);
    protect(at, 3 * PAGE, PROT_READ);
    at = map_anonymous(3 * PAGE);
    tell("executable", at, 3 * PAGE, fill(at, 3 * PAGE), FULL | PRIVATE);
    protect(at, 3 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
    at = map(4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
    tell("shared", at, 2 * PAGE, fill(at, 2 * PAGE), FULL);
    tell("shared-untouched", at + 2 * PAGE, 2 * PAGE, 0, NOWHERE);
}

static void advised(void) {
    static const struct {
        const char *name;
        int advice;
    } advice[] = {{"dont-dump", MADV_DONTDUMP},
                  {"dont-fork", MADV_DONTFORK},
                  {"wipe-on-fork", MADV_WIPEONFORK}};
    for (size_t i = 0; i < sizeof advice / sizeof advice[0]; i++) {
        unsigned char *at = map_anonymous(2 * PAGE);
        tell(advice[i].name, at, 2 * PAGE, fill(at, 2 * PAGE), FULL | PRIVATE);
        if (madvise(at, 2 * PAGE, advice[i].advice) != 0)
            fail("madvise");
    }
    unsigned char *at = map_anonymous(4 * PAGE);
    uint64_t seed = fill(at, 4 * PAGE);
    bool guards = madvise(at + PAGE, 2 * PAGE, MADV_GUARD_INSTALL) == 0;
    tell("before-guard", at, PAGE, seed, FULL | PRIVATE);
    tell("guard", at + PAGE, 2 * PAGE, guards ? 0 : seed, guards ? NOWHERE : FULL | PRIVATE);
    tell("behind-guard", at + 3 * PAGE, PAGE, seed, FULL | PRIVATE);
}

/* Of the mapping that begins there. */
static bool is_in_huge_pages(const void *at) {
    char line[512];
    unsigned long start, end, kib = 0;
    bool is_it = false;
    FILE *file = fopen("/proc/self/smaps", "re");
    while (file != NULL && kib == 0 && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            is_it = start == (uintptr_t)at;
        else if (is_it)
            sscanf(line, "AnonHugePages: %lu kB", &kib);
    }
    if (file != NULL)
        fclose(file);
    return kib != 0;
}

static void huge(void) {
    room_used += (HUGE - (uintptr_t)(room + room_used) % HUGE) % HUGE;
    unsigned char *at = map_anonymous(2 * HUGE);
    madvise(at, 2 * HUGE, MADV_HUGEPAGE);
    tell("huge", at, HUGE, fill(at, HUGE), FULL | PRIVATE);
    if (!is_in_huge_pages(at))
        fputs("# memory: the system gave no huge page, what is called so is in small ones\n",
              stderr);
    tell("huge-untouched", at + HUGE, HUGE, 0, NOWHERE);
    at = mmap(NULL, HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
    if (at != MAP_FAILED)
        tell("hugetlb", at, HUGE, fill(at, HUGE), FULL | PRIVATE);
}

/* A page that nobody fills: to read it is to wait for ever. */
static void missing(void) {
    struct uffdio_api api = {.api = UFFD_API};
    int file = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
    unsigned char *at = map_anonymous(2 * PAGE);
    struct uffdio_register range = {.range = {(uintptr_t)at, 2 * PAGE},
                                    .mode = UFFDIO_REGISTER_MODE_MISSING};
    tell("present-of-userfaultfd", at, PAGE, fill(at, PAGE), FULL | PRIVATE);
    tell("missing-of-userfaultfd", at + PAGE, PAGE, 0, NOWHERE);
    if (file >= 0 &&
        (ioctl(file, UFFDIO_API, &api) != 0 || ioctl(file, UFFDIO_REGISTER, &range) != 0))
        fail("userfaultfd");
}

/* Of one file the same mappings; `data`: as type DATA takes writable ones. */
static void of_file(const char *kind, int file, unsigned private_data, unsigned shared_data) {
    enum { BYTES = 4 * PAGE };
    char name[64];
    unsigned char bytes[BYTES];
    memset(bytes, kind[0], sizeof bytes);
    if (pwrite(file, bytes, sizeof bytes, 0) != sizeof bytes)
        fail("pwrite");
    unsigned char *at = map(BYTES, PROT_READ, MAP_PRIVATE, file);
    touch(at, BYTES);
    snprintf(name, sizeof name, "%s-clean", kind);
    tell(name, at, BYTES, 0, FULL);
    at = map(BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE, file);
    touch(at, BYTES);
    snprintf(name, sizeof name, "%s-copied", kind);
    tell(name, at, 2 * PAGE, fill(at, 2 * PAGE), FULL | private_data);
    snprintf(name, sizeof name, "%s-writable-clean", kind);
    tell(name, at + 2 * PAGE, 2 * PAGE, 0, FULL | private_data);
    at = map(BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE, file);
    touch(at, BYTES);
    snprintf(name, sizeof name, "%s-relocated", kind);
    tell(name, at + PAGE, PAGE, fill(at + PAGE, PAGE), FULL | private_data);
    snprintf(name, sizeof name, "%s-not-relocated", kind);
    tell(name, at + 2 * PAGE, 2 * PAGE, 0, FULL);
    protect(at, BYTES, PROT_READ);
    at = map(BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE, file);
    snprintf(name, sizeof name, "%s-untouched", kind);
    tell(name, at, BYTES, 0, NOWHERE);
    at = map(BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file);
    snprintf(name, sizeof name, "%s-shared", kind);
    tell(name, at, PAGE, fill(at, PAGE), FULL | shared_data);
}

static void files(const char *path) {
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0)
        fail(path);
    of_file("named", file, DATA, DATA);
    close(file);
    char deleted[] = "/tmp/procinspect-memory-XXXXXX";
    file = mkstemp(deleted);
    if (file < 0)
        fail(deleted);
    unlink(deleted);
    of_file("deleted", file, DATA, DATA);
    close(file);
    file = memfd_create("memory", MFD_CLOEXEC);
    of_file("memfd", file, DATA, 0);
    close(file);
}

static void of_program(void) {
    const size_t inside = PAGE - (size_t)((uintptr_t)target_bss % PAGE);
    tell("data", target_data, sizeof target_data, fill(target_data, sizeof target_data),
         DATA | FULL);
    tell("bss", target_bss + inside, 4 * PAGE, fill(target_bss + inside, 4 * PAGE),
         DATA | FULL | PRIVATE);
    touch((const unsigned char *)target_relro[0], 1);
    tell("relro", target_relro, sizeof target_relro, 0, DATA | FULL);
    tell("code", (const void *)(uintptr_t)&of_program, 64, 0, FULL);
    uint64_t *heap = malloc(1000);
    tell("heap", heap, 1000, fill(heap, 1000), FULL | PRIVATE);
}

static void more(size_t bytes) {
    if (bytes == 0)
        return;
    unsigned char *at =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        fail("mmap");
    tell("more", at, bytes, fill(at, bytes), FULL | PRIVATE);
}

int main(int argument_count, char **arguments) {
    if (argument_count != 3)
        return 2;
    room = mmap(NULL, ROOM, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED)
        fail("mmap");
    room_used = PAGE;
    anonymous();
    advised();
    huge();
    missing();
    files(arguments[2]);
    of_program();
    target_make_list();
    more((size_t)atoi(arguments[1]) * 1024 * 1024);
    printf("ready %d\n", (int)getpid());
    fflush(stdout);
    target_wait();
    return 0;
}
