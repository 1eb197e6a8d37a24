#include "platform/fork_workload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/futex.h>
#include <linux/rseq.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/rseq.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { VECTORS = 16, VECTOR_BYTES = 32, SPINS = 20000, RED_ZONE_WORDS = 16, SLEEP_NS = 3000000 };

static void report(child_board *board, unsigned what, unsigned long seen) {
    uint64_t none = 0;
    atomic_fetch_add(&board->words[WORD_ERRORS], 1);
    atomic_compare_exchange_strong(&board->words[WORD_FIRST_ERROR], &none,
                                   what | (uint64_t)seen << 8);
}

static void count_round(child_board *board) {
    atomic_fetch_add(&board->words[WORD_ROUNDS], 1);
}

/* Of calls that aren't restarted by the kernel itself. */
static bool is_excused(child_board *board) {
    if (errno != EINTR || atomic_load(&board->words[WORD_MAY_BE_INTERRUPTED]) == 0)
        return false;
    atomic_fetch_add(&board->words[WORD_INTERRUPTED], 1);
    return true;
}

static void begin(child_board *board) {
    atomic_fetch_add(&board->words[WORD_READY], 1);
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* --- Registers --- */

/* Fills 16 vector registers, general ones and the red zone, spins, and gives all back. */
__attribute__((target("avx"), noinline)) static void spin(unsigned char in[VECTORS][VECTOR_BYTES],
                                                          unsigned char out[VECTORS][VECTOR_BYTES],
                                                          uint64_t general[4],
                                                          uint64_t red_zone[RED_ZONE_WORDS]) {
    register uint64_t spins = SPINS;
    __asm__ volatile("lea -256(%%rsp), %%rsp\n\t"
#define LOAD(n) "vmovdqu " #n "*32(%[in]), %%ymm" #n "\n\t"
#define STORE(n) "vmovdqu %%ymm" #n ", " #n "*32(%[out])\n\t"
                     LOAD(0) LOAD(1) LOAD(2) LOAD(3) LOAD(4) LOAD(5) LOAD(6) LOAD(7) LOAD(8) LOAD(9)
                         LOAD(10) LOAD(11) LOAD(12) LOAD(13) LOAD(14)
                             LOAD(15) "mov $0x1111111111111111, %%r12\n\t"
                                      "mov $0x2222222222222222, %%r13\n\t"
                                      "mov $0x3333333333333333, %%r14\n\t"
                                      "mov $0x4444444444444444, %%r15\n\t"
                                      "mov %%r12, -8(%%rsp)\n\t"
                                      "mov %%r13, -64(%%rsp)\n\t"
                                      "mov %%r14, -128(%%rsp)\n\t"
                                      "1: dec %[spins]\n\t"
                                      "jnz 1b\n\t" STORE(0) STORE(1) STORE(2) STORE(3) STORE(4)
                                          STORE(5) STORE(6) STORE(7) STORE(8) STORE(9) STORE(10)
                                              STORE(11) STORE(12) STORE(13) STORE(14)
                                                  STORE(15) "mov %%r12, (%[general])\n\t"
                                                            "mov %%r13, 8(%[general])\n\t"
                                                            "mov %%r14, 16(%[general])\n\t"
                                                            "mov %%r15, 24(%[general])\n\t"
                                                            "mov -8(%%rsp), %%r12\n\t"
                                                            "mov %%r12, (%[red])\n\t"
                                                            "mov -64(%%rsp), %%r12\n\t"
                                                            "mov %%r12, 8(%[red])\n\t"
                                                            "mov -128(%%rsp), %%r12\n\t"
                                                            "mov %%r12, 16(%[red])\n\t"
                                                            "lea 256(%%rsp), %%rsp\n\t"
                     : [spins] "+r"(spins)
                     : [in] "r"(in), [out] "r"(out), [general] "r"(general), [red] "r"(red_zone)
                     : "memory", "cc", "r12", "r13", "r14", "r15", "xmm0", "xmm1", "xmm2", "xmm3",
                       "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",
                       "xmm13", "xmm14", "xmm15");
}

void *check_registers(void *argument) {
    child_board *board = argument;
    unsigned char in[VECTORS][VECTOR_BYTES], out[VECTORS][VECTOR_BYTES];
    unsigned seed = (unsigned)gettid();
    if (!__builtin_cpu_supports("avx"))
        return wait_until(&board->ready), NULL;
    begin(board);
    for (;; seed++) {
        uint64_t general[4] = {0}, red_zone[RED_ZONE_WORDS] = {0};
        for (unsigned i = 0; i < sizeof in; i++)
            in[i / VECTOR_BYTES][i % VECTOR_BYTES] = (unsigned char)(seed * 7 + i * 13);
        spin(in, out, general, red_zone);
        if (memcmp(in, out, sizeof in) != 0)
            report(board, WRONG_VECTORS, seed);
        if (general[0] != 0x1111111111111111 || general[1] != 0x2222222222222222 ||
            general[2] != 0x3333333333333333 || general[3] != 0x4444444444444444)
            report(board, WRONG_GENERAL, general[0]);
        if (red_zone[0] != 0x1111111111111111 || red_zone[1] != 0x2222222222222222 ||
            red_zone[2] != 0x3333333333333333)
            report(board, WRONG_RED_ZONE, red_zone[2]);
        count_round(board);
    }
}

/* One tile of 16 rows of 64 bytes. */
enum { TILE_BYTES = 1024, ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };

static bool may_use_tiles(void) {
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

void *check_tiles(void *argument) {
    child_board *board = argument;
    static const struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } form __attribute__((aligned(64))) = {1, 0, {0}, {64}, {16}};
    unsigned char in[TILE_BYTES], out[TILE_BYTES];
    bool has_tiles = may_use_tiles();
    begin(board);
    for (unsigned seed = 1; has_tiles; seed++) {
        uint64_t spins = SPINS;
        for (unsigned i = 0; i < TILE_BYTES; i++)
            in[i] = (unsigned char)(seed + i * 3);
        /* ldtilecfg (form); tileloadd (in,64), tmm0; spin; tilestored tmm0, (out,64) */
        __asm__ volatile(
            "ldtilecfg (%[form])\n\t"
            "tileloadd (%[in],%[stride],1), %%tmm0\n\t"
            "1: dec %[spins]\n\t"
            "jnz 1b\n\t"
            "tilestored %%tmm0, (%[out],%[stride],1)\n\t"
            : [spins] "+r"(spins)
            : [form] "r"(&form), [in] "r"(in), [out] "r"(out), [stride] "r"((uint64_t)64)
            : "memory", "cc");
        if (memcmp(in, out, TILE_BYTES) != 0)
            report(board, WRONG_TILES, seed);
        count_round(board);
    }
    return check_registers(board);
}

/* --- Restartable sequences: a counter that no atomic instruction guards --- */

enum { MOST_CPUS = 256, SEQUENCE_SPINS = 400, SEQUENCES = 100, ADDERS = SEQUENCE_CHECKERS };

typedef struct cpu_count {
    uint64_t value;
    uint64_t padding[7];
} cpu_count;

static cpu_count counts[MOST_CPUS];
static atomic_uint_least64_t added;
static atomic_uint_least32_t adders_at_rest, adders;

static struct rseq *own_rseq(void) {
    return (struct rseq *)(void *)((char *)__builtin_thread_pointer() + __rseq_offset);
}

/* Adds 1 to the processor's counter: false where the sequence was cut short. It spins between
 * reading and writing, so that most interruptions fall into it. */
static bool add_in_sequence(struct rseq *rseq) {
    uint32_t cpu = rseq->cpu_id_start;
    uint64_t value = 0, spins = SEQUENCE_SPINS;
    uint64_t *counter = &counts[cpu % MOST_CPUS].value;
    __asm__ goto volatile(
        ".pushsection __rseq_cs, \"aw\"\n\t"
        ".balign 32\n\t"
        "3:\n\t"
        ".long 0, 0\n\t"
        ".quad 1f, (2f - 1f), 4f\n\t"
        ".popsection\n\t"
        "lea 3b(%%rip), %%rax\n\t"
        "mov %%rax, 8(%[rseq])\n\t"
        "1:\n\t"
        "cmp %[cpu], 4(%[rseq])\n\t"
        "jne 4f\n\t"
        "mov (%[counter]), %%rax\n\t"
        "mov %[spins], %%rcx\n\t"
        "5: dec %%rcx\n\t"
        "jnz 5b\n\t"
        "inc %%rax\n\t"
        "mov %%rax, (%[counter])\n\t"
        "2:\n\t"
        "jmp 6f\n\t"
        ".byte 0x0f, 0xb9, 0x3d\n\t"
        ".long 0x53053053\n\t"
        "4: jmp %l[cut]\n\t"
        "6:\n\t"
        :
        : [rseq] "r"(rseq), [cpu] "r"(cpu), [counter] "r"(counter), [spins] "r"(spins)
        : "memory", "cc", "rax", "rcx"
        : cut);
    (void)value;
    return true;
cut:
    return false;
}

/* All rest, and one of them adds up. */
static void compare_counts(child_board *board) {
    uint64_t sum = 0;
    for (int i = 0; i < MOST_CPUS; i++)
        sum += counts[i].value;
    if (sum != atomic_load(&added))
        report(board, WRONG_COUNT, sum);
}

void *check_sequences(void *argument) {
    child_board *board = argument;
    bool is_first = atomic_fetch_add(&adders, 1) == 0;
    begin(board);
    if (__rseq_size == 0)
        return check_registers(board);
    for (;;) {
        for (int done = 0; done < SEQUENCES;)
            done += add_in_sequence(own_rseq());
        atomic_fetch_add(&added, SEQUENCES);
        count_round(board);
        /* Whoever is first waits until the others rest; they wait until he is done. */
        static atomic_uint_least32_t round;
        uint32_t now = atomic_load(&round);
        if (is_first) {
            while (atomic_load(&adders_at_rest) != ADDERS - 1)
                sched_yield();
            compare_counts(board);
            atomic_store(&adders_at_rest, 0);
            atomic_fetch_add(&round, 1);
        } else {
            atomic_fetch_add(&adders_at_rest, 1);
            while (atomic_load(&round) == now)
                sched_yield();
        }
    }
}

/* --- Calls: each has to answer what it would without us --- */

void *check_nanosleep(void *argument) {
    child_board *board = argument;
    begin(board);
    for (;;) {
        struct timespec time = {0, SLEEP_NS};
        uint64_t before = now_ns();
        if (nanosleep(&time, NULL) != 0)
            report(board, WRONG_NANOSLEEP, (unsigned long)errno);
        else if (now_ns() - before < SLEEP_NS)
            report(board, WRONG_NANOSLEEP, 0);
        count_round(board);
    }
}

void *check_clock_nanosleep(void *argument) {
    child_board *board = argument;
    begin(board);
    for (;;) {
        uint64_t until = now_ns() + SLEEP_NS;
        struct timespec time = {(time_t)(until / 1000000000), (long)(until % 1000000000)};
        int result = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
        if (result != 0 || now_ns() < until)
            report(board, WRONG_CLOCK_NANOSLEEP, (unsigned long)result);
        count_round(board);
    }
}

void *check_futex(void *argument) {
    child_board *board = argument;
    uint32_t word = 7;
    begin(board);
    for (;;) {
        struct timespec time = {0, SLEEP_NS};
        uint64_t before = now_ns();
        long result = syscall(SYS_futex, &word, FUTEX_WAIT, 7, &time, NULL, 0);
        if (result != -1 || errno != ETIMEDOUT || now_ns() - before < SLEEP_NS)
            report(board, WRONG_FUTEX, (unsigned long)errno);
        count_round(board);
    }
}

static void *write_bytes(void *argument) {
    int end = *(int *)argument;
    for (unsigned char byte = 0;; byte++) {
        sleep_ms(2);
        if (write(end, &byte, 1) != 1)
            abort();
    }
}

void *check_read(void *argument) {
    child_board *board = argument;
    int ends[2];
    pthread_t writer;
    if (pipe(ends) != 0 || pthread_create(&writer, NULL, write_bytes, &ends[1]) != 0)
        abort();
    begin(board);
    for (unsigned char expected = 0;; expected++) {
        unsigned char byte = 0;
        long got = read(ends[0], &byte, 1);
        if (got != 1 || byte != expected)
            report(board, WRONG_READ, got < 0 ? (unsigned long)errno : byte);
        count_round(board);
    }
}

void *check_epoll(void *argument) {
    child_board *board = argument;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    begin(board);
    for (;;) {
        struct epoll_event event;
        uint64_t before = now_ns();
        int result = epoll_wait(epoll, &event, 1, SLEEP_NS / 1000000);
        if (result == 0 && now_ns() - before < SLEEP_NS)
            report(board, WRONG_EPOLL, 0);
        else if (result != 0 && !is_excused(board))
            report(board, WRONG_EPOLL, (unsigned long)errno);
        count_round(board);
    }
}

void *check_poll(void *argument) {
    child_board *board = argument;
    begin(board);
    for (;;) {
        uint64_t before = now_ns();
        int result = poll(NULL, 0, SLEEP_NS / 1000000);
        if (result != 0 || now_ns() - before < SLEEP_NS)
            report(board, WRONG_POLL, (unsigned long)errno);
        count_round(board);
    }
}

void *check_select(void *argument) {
    child_board *board = argument;
    begin(board);
    for (;;) {
        struct timeval time = {0, SLEEP_NS / 1000};
        uint64_t before = now_ns();
        int result = select(0, NULL, NULL, NULL, &time);
        if (result != 0 || now_ns() - before < SLEEP_NS)
            report(board, WRONG_SELECT, (unsigned long)errno);
        count_round(board);
    }
}

void *check_sigtimedwait(void *argument) {
    child_board *board = argument;
    sigset_t set, mask;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 3);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    begin(board);
    for (;;) {
        struct timespec time = {0, SLEEP_NS};
        uint64_t before = now_ns();
        int result = sigtimedwait(&set, NULL, &time);
        bool is_right = result == -1 && errno == EAGAIN && now_ns() - before >= SLEEP_NS;
        if (!is_right && (result != -1 || !is_excused(board)))
            report(board, WRONG_SIGTIMEDWAIT, (unsigned long)errno);
        pthread_sigmask(SIG_BLOCK, NULL, &mask);
        if (sigismember(&mask, SIGRTMIN + 3) != 1 || sigismember(&mask, SIGRTMIN + 4) != 0 ||
            sigismember(&mask, SIGTERM) != 0)
            report(board, WRONG_MASK, 0);
        count_round(board);
    }
}

void *check_recv(void *argument) {
    child_board *board = argument;
    int ends[2];
    struct timeval time = {0, SLEEP_NS / 1000};
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0 ||
        setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time) != 0)
        abort();
    begin(board);
    for (;;) {
        char byte;
        long got = recv(ends[0], &byte, 1, 0);
        if (got != -1 || (errno != EAGAIN && !is_excused(board)))
            report(board, WRONG_RECV, (unsigned long)errno);
        count_round(board);
    }
}

void *check_wait(void *argument) {
    child_board *board = argument;
    stack_t wanted = {.ss_sp = malloc(65536), .ss_size = 65536}, seen;
    sigaltstack(&wanted, NULL);
    begin(board);
    for (;;) {
        pid_t pid = fork();
        if (pid == 0) {
            sleep_ms(3);
            _exit(7);
        }
        int status = 0;
        pid_t got = waitpid(-1, &status, 0);
        if (got != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 7)
            report(board, WRONG_WAIT, got < 0 ? (unsigned long)errno : (unsigned long)got);
        if (sigaltstack(NULL, &seen) != 0 || seen.ss_sp != wanted.ss_sp ||
            seen.ss_size != wanted.ss_size || seen.ss_flags != 0)
            report(board, WRONG_STACK, 0);
        count_round(board);
    }
}

void *check_pause(void *argument) {
    child_board *board = argument;
    begin(board);
    pause();
    report(board, WRONG_MASK, (unsigned long)errno);
    return NULL;
}

/* --- */

static child_board *counting_board;

static void count_child_signal(int number) {
    (void)number;
    atomic_fetch_add(&counting_board->words[WORD_SIGNALS], 1);
}

void start_workloads(child_board *board, const workload *workloads, size_t count) {
    struct sigaction action = {.sa_handler = count_child_signal, .sa_flags = SA_RESTART};
    sigset_t child;
    counting_board = board;
    sigaction(SIGCHLD, &action, NULL);
    /* Handled by the main thread only: the others' calls answer as if there was none. */
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    pthread_sigmask(SIG_BLOCK, &child, NULL);
    for (size_t i = 0; i < count; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, workloads[i], board) != 0)
            abort();
    }
    while (atomic_load(&board->words[WORD_READY]) < count)
        sleep_ms(1);
    pthread_sigmask(SIG_UNBLOCK, &child, NULL);
    atomic_store(&board->ready, 1);
}

void assert_no_errors(const child_board *board) {
    uint64_t errors = atomic_load(&board->words[WORD_ERRORS]);
    uint64_t first = atomic_load(&board->words[WORD_FIRST_ERROR]);
    if (errors != 0)
        fail_msg("%lu checks of the target failed, first %u, which saw %lu", (unsigned long)errors,
                 (unsigned)(first & 255), (unsigned long)(first >> 8));
}

void wait_for_rounds(child_board *board, uint64_t rounds) {
    enum { MOST_MS = 120000 };
    uint64_t before = atomic_load(&board->words[WORD_ROUNDS]);
    for (int i = 0; i < MOST_MS; i++) {
        if (atomic_load(&board->words[WORD_ROUNDS]) - before >= rounds)
            return;
        sleep_ms(1);
    }
    fail_msg("the target has come to stand");
}
