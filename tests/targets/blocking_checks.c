/* Threads that check what is not a blocking call: queued signals arrive all and in order; registers
 * keep. */
#include "blocking_calls.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { BURST = 8, IN_FLIGHT_MAX = 64, QUIT_LIMIT_MS = 5000 };

/* One stream of numbered realtime signals: who gets them, and what has arrived. */
struct stream {
    const char *name;
    bool to_thread; /* queued to the receiving thread, else to the process, where one thread takes
                       them */
    int signal_offset;
    pthread_t receiver;
    pthread_t sender;
    atomic_bool ready;
    atomic_uint sent; /* counted after the queueing, so that received may run ahead for a moment */
    atomic_uint received;
    atomic_uint violations;
    atomic_int first_wrong;
};

static struct stream streams[] = {
    {.name = "sigqueue_process", .to_thread = false, .signal_offset = 3},
    {.name = "sigqueue_thread", .to_thread = true, .signal_offset = 4},
};
enum { STREAMS = sizeof streams / sizeof *streams };

static atomic_bool senders_stop;
static atomic_bool receivers_stop;
static pthread_t busy_thread;
static atomic_uint busy_rounds;
static atomic_uint busy_violations;

static void take_signal(int number, siginfo_t *info, void *context) {
    struct stream *s = &streams[number - SIGRTMIN - streams[0].signal_offset];
    const unsigned expected = atomic_load(&s->received) + 1;
    (void)context;
    if (info->si_code != SI_QUEUE || info->si_pid != getpid() ||
        info->si_value.sival_int != (int)expected || !pthread_equal(pthread_self(), s->receiver)) {
        atomic_fetch_add(&s->violations, 1);
        int none = 0;
        atomic_compare_exchange_strong(&s->first_wrong, &none, info->si_value.sival_int);
    }
    atomic_store(&s->received, expected);
}

/* The only thread with this signal unblocked. It naps, so that signals find it running as well as
 * asleep. */
static void *receive(void *argument) {
    struct stream *s = argument;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + s->signal_offset);
    s->receiver = pthread_self();
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    atomic_store(&s->ready, true);
    while (!atomic_load(&receivers_stop)) {
        for (volatile int spin = 0; spin < 2000; spin++) {
        }
        nanosleep(&(struct timespec){.tv_nsec = 2000000},
                  NULL); /* a handler may end it: no violation */
    }
    return NULL;
}

static bool queue_next(struct stream *s) {
    const union sigval value = {.sival_int = (int)atomic_load(&s->sent) + 1};
    const int number = SIGRTMIN + s->signal_offset;
    if (s->to_thread) {
        return pthread_sigqueue(s->receiver, number, value) == 0;
    }
    return sigqueue(getpid(), number, value) == 0;
}

static void *send_stream(void *argument) {
    struct stream *s = argument;
    while (!atomic_load(&senders_stop)) {
        for (int i = 0; i < BURST; i++) {
            /* queue_next may meet the user's limit of queued signals: later again */
            if (atomic_load(&s->sent) - atomic_load(&s->received) >= IN_FLIGHT_MAX ||
                !queue_next(s)) {
                break;
            }
            atomic_fetch_add(&s->sent, 1);
        }
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    return NULL;
}

#if defined(__x86_64__)
/*
 * Fills the registers with values of their own, runs a loop in which a stop finds them, and counts
 * those that changed. No call and no memory access in between: whatever differs was changed from
 * outside.
 */
static uint64_t changed_registers(uint64_t seed) {
    uint64_t changed = 0;
    __asm__ volatile("mov %[seed], %%rax\n\t"
                     "lea 1(%%rax), %%rbx\n\t"
                     "lea 2(%%rax), %%rdx\n\t"
                     "lea 3(%%rax), %%rsi\n\t"
                     "lea 4(%%rax), %%rdi\n\t"
                     "lea 5(%%rax), %%r8\n\t"
                     "lea 6(%%rax), %%r9\n\t"
                     "lea 7(%%rax), %%r10\n\t"
                     "lea 8(%%rax), %%r12\n\t"
                     "lea 9(%%rax), %%r13\n\t"
                     "lea 10(%%rax), %%r14\n\t"
                     "movq %%rbx, %%xmm0\n\t"
                     "movq %%rdx, %%xmm7\n\t"
                     "movq %%rsi, %%xmm15\n\t"
                     "mov $200000, %%ecx\n"
                     "1:\n\t"
                     "dec %%ecx\n\t"
                     "jnz 1b\n\t"
                     "xor %%ecx, %%ecx\n\t"
                     "sub %%rax, %%rbx\n\t"
                     "sub $1, %%rbx\n\t"
                     "or %%rbx, %%rcx\n\t"
                     "sub %%rax, %%rdx\n\t"
                     "sub $2, %%rdx\n\t"
                     "or %%rdx, %%rcx\n\t"
                     "sub %%rax, %%rsi\n\t"
                     "sub $3, %%rsi\n\t"
                     "or %%rsi, %%rcx\n\t"
                     "sub %%rax, %%rdi\n\t"
                     "sub $4, %%rdi\n\t"
                     "or %%rdi, %%rcx\n\t"
                     "sub %%rax, %%r8\n\t"
                     "sub $5, %%r8\n\t"
                     "or %%r8, %%rcx\n\t"
                     "sub %%rax, %%r9\n\t"
                     "sub $6, %%r9\n\t"
                     "or %%r9, %%rcx\n\t"
                     "sub %%rax, %%r10\n\t"
                     "sub $7, %%r10\n\t"
                     "or %%r10, %%rcx\n\t"
                     "sub %%rax, %%r12\n\t"
                     "sub $8, %%r12\n\t"
                     "or %%r12, %%rcx\n\t"
                     "sub %%rax, %%r13\n\t"
                     "sub $9, %%r13\n\t"
                     "or %%r13, %%rcx\n\t"
                     "sub %%rax, %%r14\n\t"
                     "sub $10, %%r14\n\t"
                     "or %%r14, %%rcx\n\t"
                     "movq %%xmm0, %%rbx\n\t"
                     "sub %%rax, %%rbx\n\t"
                     "sub $1, %%rbx\n\t"
                     "or %%rbx, %%rcx\n\t"
                     "movq %%xmm7, %%rbx\n\t"
                     "sub %%rax, %%rbx\n\t"
                     "sub $2, %%rbx\n\t"
                     "or %%rbx, %%rcx\n\t"
                     "movq %%xmm15, %%rbx\n\t"
                     "sub %%rax, %%rbx\n\t"
                     "sub $3, %%rbx\n\t"
                     "or %%rbx, %%rcx\n\t"
                     "sub %[seed], %%rax\n\t"
                     "or %%rax, %%rcx\n\t"
                     "mov %%rcx, %[changed]\n\t"
                     : [changed] "=r"(changed)
                     : [seed] "r"(seed)
                     : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r12", "r13",
                       "r14", "xmm0", "xmm7", "xmm15", "cc");
    return changed;
}
#else
/* Elsewhere the compiler keeps the values in registers over the loop. */
static uint64_t changed_registers(uint64_t seed) {
    uint64_t a = seed + 1, b = seed + 2, c = seed + 3, d = seed + 4;
    for (int i = 0; i < 200000; i++) {
        __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d));
    }
    return (a - seed - 1) | (b - seed - 2) | (c - seed - 3) | (d - seed - 4);
}
#endif

/* Mostly computing, with pauses: a target that takes a whole processor would slow the tests it
 * serves. */
static void *compute(void *unused) {
    uint64_t seed = 0x123456789abcdef0U;
    (void)unused;
    while (!atomic_load(&receivers_stop)) {
        for (int i = 0; i < 50; i++) {
            if (changed_registers(seed) != 0) {
                atomic_fetch_add(&busy_violations, 1);
            }
            seed = seed * 6364136223846793005U + 1442695040888963407U;
            atomic_fetch_add(&busy_rounds, 1);
        }
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    return NULL;
}

bool checks_start(void) {
    struct sigaction action = {.sa_sigaction = take_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigfillset(&action.sa_mask);
    for (size_t i = 0; i < STREAMS; i++) {
        struct stream *s = &streams[i];
        if (sigaction(SIGRTMIN + s->signal_offset, &action, NULL) != 0 ||
            pthread_create(&s->receiver, NULL, receive, s) != 0) {
            return false;
        }
        pthread_setname_np(s->receiver, "signal_receiver");
        while (!atomic_load(&s->ready)) {
            sched_yield();
        }
        if (pthread_create(&s->sender, NULL, send_stream, s) != 0) {
            return false;
        }
    }
    return pthread_create(&busy_thread, NULL, compute, NULL) == 0;
}

void checks_quit(void) {
    const uint64_t end_ns = monotonic_ns() + QUIT_LIMIT_MS * UINT64_C(1000000);
    atomic_store(&senders_stop, true);
    for (size_t i = 0; i < STREAMS; i++) {
        struct stream *s = &streams[i];
        pthread_join(s->sender, NULL);
        while (atomic_load(&s->received) < atomic_load(&s->sent) && monotonic_ns() < end_ns) {
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        }
        if (atomic_load(&s->received) != atomic_load(&s->sent)) {
            atomic_fetch_add(&s->violations, 1);
        }
    }
    atomic_store(&receivers_stop, true);
    for (size_t i = 0; i < STREAMS; i++) {
        pthread_join(streams[i].receiver, NULL);
    }
    pthread_join(busy_thread, NULL);
}

unsigned checks_report(void) {
    unsigned violations = atomic_load(&busy_violations);
    printf("registers calls %u wrong %u\n", atomic_load(&busy_rounds), violations);
    for (size_t i = 0; i < STREAMS; i++) {
        struct stream *s = &streams[i];
        const unsigned wrong = atomic_load(&s->violations);
        printf("%s calls %u sent %u wrong %u", s->name, atomic_load(&s->received),
               atomic_load(&s->sent), wrong);
        if (atomic_load(&s->first_wrong) != 0) {
            printf(" first: %d", atomic_load(&s->first_wrong));
        }
        printf("\n");
        violations += wrong;
    }
    return violations;
}
