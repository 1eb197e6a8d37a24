/* What a capture takes is what the target itself knows. */
#include "platform/capture/child.h"
#include "platform/capture/interrupted_child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

enum { PATTERN_BYTES = 4096, XMM_OFFSET = 160 };

#define MARK(n) (UINT64_C(0x1111111111111111) * (n))

/* Loads registers with marks and waits in pause(); never returns. `at`: where the call is. */
static __attribute__((noreturn)) void park_with_marks(_Atomic uint64_t *at,
                                                      _Atomic uint64_t *stack) {
    static const uint64_t xmm[2][2] = {{MARK(7), MARK(8)}, {MARK(9), MARK(10)}};
    __asm__ volatile("lea 1f(%%rip), %%rax\n\t"
                     "mov %%rax, (%0)\n\t"
                     "mov %%rsp, (%1)\n\t"
                     "movups (%2), %%xmm6\n\t"
                     "movups 16(%2), %%xmm15\n\t"
                     "mov %3, %%rbx\n\t"
                     "lea (%%rbx, %%rbx), %%r12\n\t"
                     "lea (%%r12, %%rbx), %%r13\n\t"
                     "lea (%%r13, %%rbx), %%r14\n\t"
                     "lea (%%r14, %%rbx), %%r15\n\t"
                     "lea (%%r15, %%rbx), %%rbp\n"
                     "0: mov $34, %%eax\n\t"
                     "syscall\n"
                     "1: jmp 0b\n"
                     :
                     : "r"(at), "r"(stack), "r"(xmm), "r"(MARK(1))
                     : "rax", "rbx", "r12", "r13", "r14", "r15", "xmm6", "xmm15", "memory");
    __builtin_unreachable();
}

static void *marked_thread(void *argument) {
    child_board *board = argument;
    prctl(PR_SET_NAME, "marked");
    atomic_store(&board->tids[0], (int)gettid());
    park_with_marks(&board->words[0], &board->words[1]);
}

static void marked_body(child_board *board) {
    volatile unsigned char pattern[PATTERN_BYTES];
    pthread_t thread;
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (unsigned char)(i * 7 + i / 256);
    atomic_store(&board->words[2], (uint64_t)(uintptr_t)pattern);
    pthread_create(&thread, NULL, marked_thread, board);
    while (atomic_load(&board->words[1]) == 0)
        sleep_ms(1);
    atomic_store(&board->ready, 1);
    for (;;)
        pause();
}

static void test_registers(void **state) {
    (void)state;
    test_child child = child_start(marked_body);
    int tid = atomic_load(&child.board->tids[0]);
    assert_true(wait_for_thread_state(child.pid, tid, 'S'));
    pi_snapshot *snapshot = capture_child(&child);
    assert_int_equal(snapshot->thread_count, 2);
    assert_int_equal(snapshot->threads[0].tid, child.pid);
    const pi_thread_snapshot *thread = find_thread(snapshot, tid);
    const pi_registers_amd64 *registers = &thread->registers.amd64;
    assert_true(registers->rbx == MARK(1) && registers->r12 == MARK(2));
    assert_true(registers->r13 == MARK(3) && registers->r14 == MARK(4));
    assert_true(registers->r15 == MARK(5) && registers->rbp == MARK(6));
    assert_true(registers->rip == atomic_load(&child.board->words[0]));
    assert_true(registers->rsp == atomic_load(&child.board->words[1]));
    const uint64_t xmm6[] = {MARK(7), MARK(8)}, xmm15[] = {MARK(9), MARK(10)};
    assert_memory_equal(registers->fxsave + XMM_OFFSET + 16 * 6, xmm6, 16);
    assert_memory_equal(registers->fxsave + XMM_OFFSET + 16 * 15, xmm15, 16);
    assert_int_equal(registers->cs, 0x33);
    assert_int_equal(registers->ss, 0x2b);
    assert_int_equal(thread->name.length, 6);
    assert_memory_equal(thread->name.data, "marked", 6);
    assert_int_equal(thread->priority, 20 + thread->nice);
    assert_int_equal(snapshot->report.note_count, 0);
    pi_snapshot_free(snapshot);
    child_end(&child);
}

/* The end of the mapping that holds this address, by the snapshot's own maps. */
static uint64_t end_of_mapping(const pi_snapshot *snapshot, uint64_t address) {
    const pi_bytes *maps = &snapshot->texts[PI_TEXT_MAPS];
    for (const char *line = maps->data;
         line != NULL && line < (const char *)maps->data + maps->length;
         line = strchr(line, '\n') == NULL ? NULL : strchr(line, '\n') + 1) {
        unsigned long long start, end;
        if (sscanf(line, "%llx-%llx", &start, &end) == 2 && start <= address && address < end)
            return end;
    }
    return 0;
}

static void test_stacks_and_code(void **state) {
    unsigned char expected[PATTERN_BYTES], bytes[PATTERN_BYTES];
    (void)state;
    test_child child = child_start(marked_body);
    pi_snapshot *snapshot = capture_child(&child);
    for (size_t i = 0; i < sizeof expected; i++)
        expected[i] = (unsigned char)(i * 7 + i / 256);
    assert_int_equal(snapshot->source->read(snapshot->source, atomic_load(&child.board->words[2]),
                                            bytes, sizeof bytes, NULL),
                     0);
    assert_memory_equal(bytes, expected, sizeof bytes);
    for (size_t i = 0; i < snapshot->thread_count; i++) {
        const pi_thread_snapshot *thread = &snapshot->threads[i];
        assert_true(thread->stack.address == thread->registers.amd64.rsp - 128);
        assert_true(thread->stack.address + thread->stack.size_bytes ==
                    end_of_mapping(snapshot, thread->registers.amd64.rsp));
        /* "syscall" is before each instruction pointer. */
        assert_int_equal(snapshot->source->read(snapshot->source, thread->registers.amd64.rip - 2,
                                                bytes, 2, NULL),
                         0);
        assert_memory_equal(bytes, "\x0f\x05", 2);
    }
    pi_snapshot_free(snapshot);
    child_end(&child);
}

static void assert_text_is_of(const pi_snapshot *snapshot, pi_system_text text, const char *path) {
    char *expected = malloc(1024 * 1024);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(expected);
    size_t length = fread(expected, 1, 1024 * 1024, file);
    fclose(file);
    assert_int_equal(snapshot->texts[text].length, length);
    assert_memory_equal(snapshot->texts[text].data, expected, length);
    free(expected);
}

static void test_what_stands_around_it(void **state) {
    char path[64], version[1024];
    struct utsname system;
    struct timespec before, after;
    (void)state;
    test_child child = child_start(marked_body);
    clock_gettime(CLOCK_REALTIME, &before);
    pi_snapshot *snapshot = capture_child(&child);
    clock_gettime(CLOCK_REALTIME, &after);
    assert_true(snapshot->captured_at_unix_ns >=
                (int64_t)before.tv_sec * 1000000000 + before.tv_nsec);
    assert_true(snapshot->captured_at_unix_ns <=
                (int64_t)after.tv_sec * 1000000000 + after.tv_nsec);
    assert_true(snapshot->process_start_unix_ns <= snapshot->captured_at_unix_ns + 1000000000);
    assert_true(snapshot->process_start_unix_ns > snapshot->captured_at_unix_ns - 60000000000);
    static const struct {
        pi_system_text text;
        const char *file;
    } files[] = {{PI_TEXT_COMMAND_LINE, "cmdline"},
                 {PI_TEXT_ENVIRONMENT, "environ"},
                 {PI_TEXT_AUXILIARY_VECTOR, "auxv"},
                 {PI_TEXT_MAPS, "maps"},
                 {PI_TEXT_LIMITS, "limits"}};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", (int)child.pid, files[i].file);
        assert_text_is_of(snapshot, files[i].text, path);
    }
    assert_int_equal(strncmp(snapshot->texts[PI_TEXT_STATUS].data, "Name:\t", 6), 0);
    assert_non_null(strstr(snapshot->texts[PI_TEXT_CPU_INFO].data, "vendor_id"));
    uname(&system);
    snprintf(version, sizeof version, "%s %s %s %s", system.sysname, system.release, system.version,
             system.machine);
    assert_string_equal(snapshot->system_version, version);
    assert_int_equal(snapshot->processor_count, sysconf(_SC_NPROCESSORS_ONLN));
    char vendor[13] = {0};
    memcpy(vendor, snapshot->cpu.vendor, 12);
    assert_non_null(strstr(snapshot->texts[PI_TEXT_CPU_INFO].data, vendor));
    assert_true(snapshot->cpu.version != 0 && snapshot->cpu.features != 0);
    pi_snapshot_free(snapshot);
    child_end(&child);
}

static void test_modules_have_build_ids(void **state) {
    unsigned executables = 0, libc = 0, vdso = 0;
    (void)state;
    test_child child = child_start(marked_body);
    pi_snapshot *snapshot = capture_child(&child);
    for (size_t i = 0; i < snapshot->modules->count; i++) {
        const procinspect_module_info *module = snapshot->modules->items[i];
        assert_true(module->build_id_length >= 16);
        executables += (module->flags & PROCINSPECT_MODULE_FLAG_EXECUTABLE) != 0;
        vdso += (module->flags & PROCINSPECT_MODULE_FLAG_VDSO) != 0;
        libc += module->file_name != NULL && strcmp(module->file_name, "libc.so.6") == 0;
    }
    assert_int_equal(executables, 1);
    assert_int_equal(vdso, 1);
    assert_int_equal(libc, 1);
    pi_snapshot_free(snapshot);
    child_end(&child);
}

/* Main thread deep in its stack, beyond what a dump takes of one. */
static void deep_body(child_board *board) {
    enum { DEPTH_BYTES = 3 * 1024 * 1024 };
    volatile unsigned char *room = __builtin_alloca(DEPTH_BYTES);
    for (size_t i = 0; i < DEPTH_BYTES; i += 1024)
        room[i] = (unsigned char)(i / 1024);
    atomic_store(&board->words[0], (uint64_t)(uintptr_t)room);
    atomic_store(&board->ready, 1);
    for (;;)
        pause();
}

static void test_a_deep_stack_is_shortened(void **state) {
    unsigned char byte = 0;
    (void)state;
    test_child child = child_start(deep_body);
    pi_snapshot *snapshot = capture_child(&child);
    assert_true(snapshot->threads[0].stack.size_bytes == 1024 * 1024);
    assert_int_equal(snapshot->report.note_count, 1);
    assert_int_equal(snapshot->report.notes[0]->kind, PROCINSPECT_DUMP_NOTE_SHORTENED);
    assert_int_equal(snapshot->report.notes[0]->tid, child.pid);
    uint64_t room = atomic_load(&child.board->words[0]);
    for (uint64_t i = 1; i < 900; i++) {
        assert_int_equal(snapshot->source->read(snapshot->source, room + i * 1024, &byte, 1, NULL),
                         0);
        assert_int_equal(byte, i & 0xff);
    }
    pi_snapshot_free(snapshot);

    /* And with little room for all. */
    pi_capture_request request = default_request();
    request.hold_buffer_bytes = 10000;
    assert_int_equal(pi_capture(child.process, &request, &snapshot, NULL), 0);
    assert_sound_snapshot(snapshot);
    assert_true(snapshot->report.memory_bytes <= 10000);
    assert_true(snapshot->threads[0].stack.size_bytes > 9000);
    pi_snapshot_free(snapshot);
    child_end(&child);
}

/* Waits in pause() with this stack pointer. */
static __attribute__((noreturn)) void park_on(uint64_t stack_pointer) {
    __asm__ volatile("mov %0, %%rsp\n"
                     "0: mov $34, %%eax\n\t"
                     "syscall\n\t"
                     "jmp 0b\n"
                     :
                     : "r"(stack_pointer)
                     : "rax", "memory");
    __builtin_unreachable();
}

static void lost_body(child_board *board) {
    atomic_store(&board->ready, 1);
    park_on(0x7000);
}

static void test_a_stack_pointer_that_leads_nowhere(void **state) {
    (void)state;
    test_child child = child_start(lost_body);
    assert_true(wait_for_thread_state(child.pid, child.pid, 'S'));
    pi_snapshot *snapshot = capture_child(&child);
    assert_true(snapshot->threads[0].registers.amd64.rsp == 0x7000);
    assert_true(snapshot->threads[0].has_registers);
    assert_true(snapshot->threads[0].stack.size_bytes == 0);
    assert_int_equal(snapshot->report.note_count, 1);
    assert_int_equal(snapshot->report.notes[0]->kind, PROCINSPECT_DUMP_NOTE_UNREADABLE);
    assert_non_null(strstr(snapshot->report.notes[0]->text, "0x7000"));
    pi_snapshot_free(snapshot);
    child_end(&child);
}

/* Its stack is a file whose end was cut off: those pages are mapped, and can't be read. */
static void holed_body(child_board *board) {
    int file = memfd_create("stack", 0);
    if (ftruncate(file, 8 * 4096) != 0)
        _exit(1);
    unsigned char *stack = mmap(NULL, 8 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    memset(stack, 0x5a, 8 * 4096);
    if (ftruncate(file, 4 * 4096) != 0)
        _exit(1);
    atomic_store(&board->words[0], (uint64_t)(uintptr_t)stack);
    atomic_store(&board->ready, 1);
    park_on((uint64_t)(uintptr_t)stack + 4096);
}

static void test_pages_that_cannot_be_read_are_zero(void **state) {
    unsigned char bytes[8 * 4096];
    (void)state;
    test_child child = child_start(holed_body);
    uint64_t stack = atomic_load(&child.board->words[0]);
    assert_true(wait_for_thread_state(child.pid, child.pid, 'S'));
    pi_snapshot *snapshot = capture_child(&child);
    assert_true(snapshot->threads[0].stack.address == stack + 4096 - 128);
    assert_true(snapshot->threads[0].stack.size_bytes == 7 * 4096 + 128);
    assert_true(snapshot->report.unreadable_memory_bytes == 4 * 4096);
    /* Which is what this bit means: it is there though nobody asked. */
    assert_int_equal(snapshot->report.requested_type, 0);
    assert_int_equal(snapshot->report.effective_type, 0x20000);
    assert_int_equal(snapshot->report.note_count, 1);
    assert_int_equal(snapshot->report.notes[0]->kind, PROCINSPECT_DUMP_NOTE_UNREADABLE);
    assert_int_equal(snapshot->source->read(snapshot->source, stack + 4096, bytes, 7 * 4096, NULL),
                     0);
    for (size_t i = 0; i < 7 * 4096; i++)
        assert_int_equal(bytes[i], i < 3 * 4096 ? 0x5a : 0);
    pi_snapshot_free(snapshot);
    child_end(&child);
}

static void interrupted_body(child_board *board) {
    pthread_t thread;
    pthread_create(&thread, NULL, interrupted_thread, board);
    for (;;)
        pause();
}

/* Its stack pointer is on the alternate stack; what it interrupted is on its own. */
static void test_a_handler_on_an_alternate_stack(void **state) {
    unsigned char bytes[INTERRUPTED_BYTES];
    (void)state;
    test_child child = child_start(interrupted_body);
    pi_snapshot *snapshot = capture_child(&child);
    const pi_thread_snapshot *thread = find_thread(snapshot, atomic_load(&child.board->tids[0]));
    uint64_t alternate = atomic_load(&child.board->words[1]);
    assert_true(thread->registers.amd64.rsp - alternate < ALTERNATE_STACK_BYTES);
    assert_int_equal(snapshot->source->read(snapshot->source, atomic_load(&child.board->words[0]),
                                            bytes, sizeof bytes, NULL),
                     0);
    for (size_t i = 0; i < sizeof bytes; i++)
        assert_int_equal(bytes[i], interrupted_byte(i));
    pi_snapshot_free(snapshot);
    child_end(&child);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registers),
        cmocka_unit_test(test_stacks_and_code),
        cmocka_unit_test(test_what_stands_around_it),
        cmocka_unit_test(test_modules_have_build_ids),
        cmocka_unit_test(test_a_deep_stack_is_shortened),
        cmocka_unit_test(test_a_stack_pointer_that_leads_nowhere),
        cmocka_unit_test(test_pages_that_cannot_be_read_are_zero),
        cmocka_unit_test(test_a_handler_on_an_alternate_stack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
