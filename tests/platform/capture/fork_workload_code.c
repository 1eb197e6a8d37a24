#include "platform/capture/fork_workload.h"

#include <linux/rseq.h>
#include <sched.h>
#include <string.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { VECTORS = 16, VECTOR_BYTES = 32, SPINS = 20000, RED_ZONE_WORDS = 16 };

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
    workload_begin(board);
    for (;; seed++) {
        uint64_t general[4] = {0}, red_zone[RED_ZONE_WORDS] = {0};
        for (unsigned i = 0; i < sizeof in; i++)
            in[i / VECTOR_BYTES][i % VECTOR_BYTES] = (unsigned char)(seed * 7 + i * 13);
        spin(in, out, general, red_zone);
        if (memcmp(in, out, sizeof in) != 0)
            workload_report(board, WRONG_VECTORS, seed);
        if (general[0] != 0x1111111111111111 || general[1] != 0x2222222222222222 ||
            general[2] != 0x3333333333333333 || general[3] != 0x4444444444444444)
            workload_report(board, WRONG_GENERAL, general[0]);
        if (red_zone[0] != 0x1111111111111111 || red_zone[1] != 0x2222222222222222 ||
            red_zone[2] != 0x3333333333333333)
            workload_report(board, WRONG_RED_ZONE, red_zone[2]);
        workload_count_round(board);
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
    workload_begin(board);
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
            workload_report(board, WRONG_TILES, seed);
        workload_count_round(board);
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
        workload_report(board, WRONG_COUNT, sum);
}

void *check_sequences(void *argument) {
    child_board *board = argument;
    bool is_first = atomic_fetch_add(&adders, 1) == 0;
    workload_begin(board);
    if (__rseq_size == 0)
        return check_registers(board);
    for (;;) {
        for (int done = 0; done < SEQUENCES;)
            done += add_in_sequence(own_rseq());
        atomic_fetch_add(&added, SEQUENCES);
        workload_count_round(board);
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

void registers_body(child_board *board) {
    static const workload kinds[] = {check_registers};
    start_workloads(board, kinds, 1);
    check_registers(board);
}

void tiles_body(child_board *board) {
    static const workload kinds[] = {check_tiles};
    start_workloads(board, kinds, 1);
    check_tiles(board);
}
