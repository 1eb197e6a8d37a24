/*
 * A process whose threads all stand still in known places, to compare what readers say of it.
 *
 * usage: threads COUNT [deep] [signal] [copies]
 *
 * COUNT workers, `worker-0` to `worker-N`, go through chains of functions that differ by number and
 * by frame size and block at the end in one of several calls. `deep` adds the thread `deep` with
 * 200 frames of recursion, `signal` the thread `signal` that blocks in a handler on an alternate
 * stack, `copies` loads the C library once more. When all stand still, prints `ready PID`. Ends
 * when its standard input does.
 */
#include "target_frames.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    COUNT_MAX = 8192,
    STACK_BYTES = 256 * 1024,
    ALTERNATE_STACK_BYTES = 64 * 1024,
    DEEP_FRAMES = 200
};

static int silent_pipe[2];
static sem_t silent_semaphore;
static atomic_int arrived_tids[COUNT_MAX];
static atomic_uint arrived;

/* Between here and the call that blocks nothing else can make the thread sleep. */
static void arrive(void) {
    atomic_store(&arrived_tids[atomic_fetch_add(&arrived, 1)], (int)gettid());
}

/* The ends of the chains. */
static __attribute__((noinline)) int block_in_read(void *argument) {
    char byte = 0;
    (void)argument;
    arrive();
    return (int)read(silent_pipe[0], &byte, 1);
}

static __attribute__((noinline)) int block_in_poll(void *argument) {
    struct pollfd entry = {.fd = silent_pipe[0], .events = POLLIN};
    (void)argument;
    arrive();
    return poll(&entry, 1, -1) + entry.fd;
}

static __attribute__((noinline)) int block_in_semaphore(void *argument) {
    (void)argument;
    arrive();
    return sem_wait(&silent_semaphore) + 1;
}

static __attribute__((noinline)) int block_in_pause(void *argument) {
    (void)argument;
    arrive();
    return pause() + 1;
}

typedef int (*frame)(unsigned index);

static int (*const ends[])(void *argument) = {block_in_read, block_in_poll, block_in_semaphore,
                                              block_in_pause};

/* Frames of different sizes with locals that live across the call; the sum after it keeps the call
 * from being a tail call. */
#define DEFINE_FRAME(name, size, next)                                                             \
    static __attribute__((noinline)) int name(unsigned index) {                                    \
        volatile char scratch[size];                                                               \
        volatile unsigned local = index * 3 + (size);                                              \
        scratch[index % (size)] = (char)index;                                                     \
        const int result = next;                                                                   \
        return result + scratch[index % (size)] + (int)local;                                      \
    }

DEFINE_FRAME(frame_c_direct, 24, ends[index / 16 % 4](NULL))
DEFINE_FRAME(frame_c_library, 40, target_frames_call(ends[index / 16 % 4], NULL))
DEFINE_FRAME(frame_c_wide, 1200, ends[index / 16 % 4](NULL))
DEFINE_FRAME(frame_c_library_wide, 5000, target_frames_call(ends[index / 16 % 4], NULL))

static const frame frames_c[] = {frame_c_direct, frame_c_library, frame_c_wide,
                                 frame_c_library_wide};

DEFINE_FRAME(frame_b_0, 16, frames_c[index / 4 % 4](index))
DEFINE_FRAME(frame_b_1, 56, frames_c[index / 4 % 4](index))
DEFINE_FRAME(frame_b_2, 144, frames_c[index / 4 % 4](index))
DEFINE_FRAME(frame_b_3, 333, frames_c[index / 4 % 4](index))

static const frame frames_b[] = {frame_b_0, frame_b_1, frame_b_2, frame_b_3};

/* Above 64 chains the depth makes the difference. */
static __attribute__((noinline)) int frame_a(unsigned index, unsigned depth) {
    volatile unsigned local = depth;
    const int result = depth > 0 ? frame_a(index, depth - 1) : frames_b[index % 4](index);
    return result + (int)local;
}

static void *run_worker(void *argument) {
    const unsigned index = (unsigned)(uintptr_t)argument;
    return (void *)(uintptr_t)(unsigned)(frame_a(index, index / 64) + 1);
}

static void *run_deep(void *unused) {
    (void)unused;
    return (void *)(uintptr_t)(unsigned)(frame_a(0, DEEP_FRAMES - 1) + 1);
}

static void block_in_handler(int number) {
    frame_a((unsigned)number, 0);
}

static void *run_signal(void *unused) {
    struct sigaction action = {.sa_handler = block_in_handler, .sa_flags = SA_ONSTACK};
    stack_t stack = {.ss_sp = malloc(ALTERNATE_STACK_BYTES), .ss_size = ALTERNATE_STACK_BYTES};
    (void)unused;
    if (stack.ss_sp == NULL || sigaltstack(&stack, NULL) != 0 ||
        sigaction(SIGUSR1, &action, NULL) != 0) {
        perror("threads: alternate stack");
        exit(2);
    }
    raise(SIGUSR1);
    return NULL;
}

static void start(void *(*run)(void *), void *argument, const char *name) {
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    errno = pthread_create(&thread, &attributes, run, argument);
    if (errno != 0) {
        perror("threads: pthread_create");
        exit(2);
    }
    pthread_attr_destroy(&attributes);
    pthread_setname_np(thread, name);
}

/* The C library once more: below the one that the threads use. */
static void load_copies(void) {
    if (dlmopen(LM_ID_NEWLM, "libc.so.6", RTLD_NOW) == NULL) {
        fprintf(stderr, "threads: %s\n", dlerror());
        _exit(2);
    }
}

static bool is_asleep(int tid) {
    char path[64];
    char line[512] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    const bool complete = fgets(line, sizeof line, file) != NULL;
    fclose(file);
    const char *end = strrchr(line, ')');
    return complete && end != NULL && strncmp(end, ") S", 3) == 0;
}

static void wait_until_asleep(unsigned threads) {
    const struct timespec pause_between = {.tv_nsec = 1000000};
    while (atomic_load(&arrived) < threads) {
        nanosleep(&pause_between, NULL);
    }
    for (unsigned i = 0; i < threads; i++) {
        int tid = 0;
        while ((tid = atomic_load(&arrived_tids[i])) == 0 || !is_asleep(tid)) {
            nanosleep(&pause_between, NULL);
        }
    }
}

/* The thread that the program began with stands still here, too. */
static __attribute__((noinline)) void block_until_input_ends(void) {
    char buffer[64];
    while (read(STDIN_FILENO, buffer, sizeof buffer) > 0) {
    }
}

int main(int argc, char **argv) {
    const unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    unsigned threads = (unsigned)count;
    if (argc < 2 || count > COUNT_MAX - 2) {
        fprintf(stderr, "usage: threads COUNT [deep] [signal] [copies]\n");
        return 2;
    }
    if (pipe2(silent_pipe, O_CLOEXEC) != 0 || sem_init(&silent_semaphore, 0, 0) != 0) {
        perror("threads");
        return 2;
    }
    for (unsigned i = 0; i < count; i++) {
        char name[16];
        snprintf(name, sizeof name, "worker-%u", i);
        start(run_worker, (void *)(uintptr_t)i, name);
    }
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "deep") == 0) {
            start(run_deep, NULL, "deep");
        } else if (strcmp(argv[i], "signal") == 0) {
            start(run_signal, NULL, "signal");
        } else if (strcmp(argv[i], "copies") == 0) {
            load_copies();
            continue;
        } else {
            fprintf(stderr, "threads: unknown variant %s\n", argv[i]);
            return 2;
        }
        threads++;
    }
    wait_until_asleep(threads);
    printf("ready %d\n", (int)getpid());
    fflush(stdout);
    block_until_input_ends();
    _exit(0); /* without waiting for threads that never end */
}
