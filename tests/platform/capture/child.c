#include "platform/capture/child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 20000, NOBODY = 65534 };

void sleep_ms(int ms) {
    struct timespec left = {ms / 1000, ms % 1000 * 1000000L};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
}

bool wait_until(const atomic_int *flag) {
    for (int i = 0; i < WAIT_MS && atomic_load(flag) == 0; i++)
        sleep_ms(1);
    return atomic_load(flag) != 0;
}

/* Of a test that failed before its end. */
static pid_t unfinished;

void child_end_unfinished(void) {
    if (unfinished == 0)
        return;
    kill(unfinished, SIGKILL);
    waitpid(unfinished, NULL, 0);
    unfinished = 0;
}

test_child child_start(void (*body)(child_board *board)) {
    test_child made = {0};
    procinspect_error error;
    child_end_unfinished();
    made.board =
        mmap(NULL, sizeof *made.board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(made.board != MAP_FAILED);
    pid_t parent = getpid();
    made.pid = fork();
    assert_true(made.pid >= 0);
    if (made.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY); /* where Yama's ptrace_scope 1 asks for it */
        if (getppid() == parent)
            body(made.board);
        _exit(99);
    }
    unfinished = made.pid;
    assert_true(wait_until(&made.board->ready));
    if (pi_system_open(NULL, &made.system, &error) != 0 ||
        pi_process_open(made.system, made.pid, &made.process, &error) != 0)
        fail_msg("%s", error.message);
    return made;
}

void child_end(test_child *child) {
    int status;
    kill(child->pid, SIGKILL);
    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    unfinished = 0;
    assert_int_equal(waitpid(-1, NULL, WNOHANG | __WALL), -1);
    assert_int_equal(errno, ECHILD);
    pi_process_close(child->process);
    pi_system_close(child->system);
    munmap(child->board, sizeof *child->board);
}

pi_capture_request default_request(void) {
    return (pi_capture_request){.max_pause_ms = 60000,
                                .hold_buffer_bytes = 64 * 1024 * 1024,
                                .max_copy_seconds = 3600,
                                .max_copy_growth_bytes = UINT64_C(4) << 30};
}

int yama_restricts(void) {
    char scope = '0';
    FILE *file = fopen("/proc/sys/kernel/yama/ptrace_scope", "r");
    if (file != NULL) {
        if (fread(&scope, 1, 1, file) != 1)
            scope = '0';
        fclose(file);
    }
    return geteuid() == 0 && scope < '3' ? 0 : scope - '0';
}

void skip_unless_children_can_be_traced(void) {
    if (yama_restricts() > 1)
        skip();
}

pi_snapshot *capture_child(const test_child *child) {
    return capture_child_as(child, PROCINSPECT_DUMP_TYPE_NORMAL);
}

pi_snapshot *capture_child_as(const test_child *child, uint32_t type) {
    pi_capture_request request = default_request();
    request.type = type;
    skip_unless_children_can_be_traced();
    return capture_process(child->process, &request);
}

pi_snapshot *capture_process(const pi_process *process, const pi_capture_request *request) {
    pi_snapshot *snapshot = NULL;
    procinspect_error error;
    if (pi_capture(process, request, &snapshot, &error) != 0)
        fail_msg("%d: %s", error.code, error.message);
    assert_sound_snapshot_by(snapshot, request->way != PROCINSPECT_DUMP_WAY_AUTO
                                           ? request->way
                                           : PROCINSPECT_DUMP_WAY_HOLD);
    return snapshot;
}

void assert_capture_fails(const pi_process *process, const pi_capture_request *request,
                          int32_t code, const char *text) {
    pi_snapshot *const untouched = (pi_snapshot *)(uintptr_t)0x1234;
    pi_snapshot *snapshot = untouched;
    procinspect_error error = {0};
    int32_t result = pi_capture(process, request, &snapshot, &error);
    if (result == 0)
        fail_msg("it was captured");
    if (result != code || strstr(error.message, text) == NULL)
        fail_msg("%d instead of %d with \"%s\": %s", result, code, text, error.message);
    assert_int_equal(error.code, code);
    assert_ptr_equal(snapshot, untouched);
}

void run_as_init_of_a_namespace(child_board *board, void (*body)(child_board *board)) {
    if (unshare(CLONE_NEWPID) != 0)
        _exit(97);
    pid_t init = fork();
    if (init < 0)
        _exit(98);
    if (init == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        body(board);
    }
    atomic_store(&board->pids[0], init);
    waitpid(init, NULL, 0);
    _exit(96);
}

void become_nobody(void) {
    if (geteuid() == 0 &&
        (setresgid(NOBODY, NOBODY, NOBODY) != 0 || setresuid(NOBODY, NOBODY, NOBODY) != 0))
        _exit(94);
    prctl(PR_SET_DUMPABLE, 1); /* which changing the user has ended */
}

void run_as_nobody(void (*check)(const pi_process *process), const pi_process *process) {
    int status;
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (geteuid() == 0 &&
            (setresgid(NOBODY, NOBODY, NOBODY) != 0 || setresuid(NOBODY, NOBODY, NOBODY) != 0))
            _exit(94);
        prctl(PR_SET_DUMPABLE, 1);
        check(process);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("in the ordinary user's process: status 0x%x", (unsigned)status);
}

void expect_capture_fails(const pi_process *process, int32_t code, const char *text) {
    pi_capture_request request = default_request();
    pi_snapshot *snapshot = NULL;
    procinspect_error error = {0};
    int32_t result = pi_capture(process, &request, &snapshot, &error);
    if (result == code && snapshot == NULL && strstr(error.message, text) != NULL)
        return;
    fprintf(stderr, "%d instead of %d with \"%s\": %s\n", result, code, text, error.message);
    _exit(93);
}

void *beat(void *board) {
    for (;;) {
        atomic_fetch_add(&((child_board *)board)->beats, 1);
        sleep_ms(1);
    }
    return NULL;
}

void beating_body(child_board *board) {
    pthread_t thread;
    pthread_create(&thread, NULL, beat, board);
    atomic_store(&board->ready, 1);
    for (;;)
        pause();
}

const pi_thread_snapshot *find_thread(const pi_snapshot *snapshot, int32_t tid) {
    for (size_t i = 0; i < snapshot->thread_count; i++)
        if (snapshot->threads[i].tid == tid)
            return &snapshot->threads[i];
    fail_msg("thread %d is missing", tid);
    return NULL;
}

static void assert_sound_memory(const pi_snapshot *snapshot) {
    uint64_t total = 0;
    for (size_t i = 0; i < snapshot->memory_count; i++) {
        const pi_memory_range *range = &snapshot->memory[i];
        assert_true(range->size_bytes != 0);
        unsigned char *bytes = malloc((size_t)range->size_bytes);
        assert_non_null(bytes);
        assert_true(i == 0 || range->address > range[-1].address + range[-1].size_bytes);
        assert_int_equal(snapshot->source->read(snapshot->source, range->address, bytes,
                                                (size_t)range->size_bytes, NULL),
                         0);
        assert_int_equal(snapshot->source->read(snapshot->source,
                                                range->address + range->size_bytes - 1, bytes, 2,
                                                NULL),
                         PROCINSPECT_ERROR_IO);
        total += range->size_bytes;
        free(bytes);
    }
    assert_true(total == snapshot->report.memory_bytes);
}

static void assert_sound_threads(const pi_snapshot *snapshot) {
    uint32_t with_registers = 0;
    for (size_t i = 0; i < snapshot->thread_count; i++) {
        const pi_thread_snapshot *thread = &snapshot->threads[i];
        with_registers += thread->has_registers;
        assert_true(i < 2 || thread->tid > thread[-1].tid);
        bool inside = thread->stack.size_bytes == 0;
        for (size_t k = 0; k < snapshot->memory_count && !inside; k++)
            inside = thread->stack.address >= snapshot->memory[k].address &&
                     thread->stack.address + thread->stack.size_bytes <=
                         snapshot->memory[k].address + snapshot->memory[k].size_bytes;
        assert_true(inside);
    }
    assert_int_equal(with_registers, snapshot->report.thread_count);
    assert_true(with_registers > 0);
}

void assert_sound_snapshot(const pi_snapshot *snapshot) {
    assert_sound_snapshot_by(snapshot, PROCINSPECT_DUMP_WAY_HOLD);
}

void assert_sound_snapshot_by(const pi_snapshot *snapshot, uint32_t way) {
    const procinspect_dump_report *report = &snapshot->report;
    assert_int_equal(report->pid, snapshot->pid);
    assert_int_equal(snapshot->architecture, PI_ARCHITECTURE_AMD64);
    assert_int_equal(report->way, way);
    assert_non_null(report->way_reason);
    assert_sound_memory(snapshot);
    assert_sound_threads(snapshot);
    assert_true(snapshot->modules->count > 0);
    assert_int_equal(report->module_count, snapshot->modules->count);
    for (size_t i = 0; i < PI_TEXT_COUNT; i++)
        assert_non_null(snapshot->texts[i].data);
    assert_true(report->pause_ns >= report->pause_stop_ns + report->pause_registers_ns +
                                        report->pause_memory_ns + report->pause_resume_ns);
    assert_true(report->pause_stop_ns > 0 && report->pause_resume_ns > 0);
}

void assert_beats(const test_child *child) {
    unsigned before = atomic_load(&child->board->beats);
    for (int i = 0; i < WAIT_MS && atomic_load(&child->board->beats) <= before + 1; i++)
        sleep_ms(1);
    assert_true(atomic_load(&child->board->beats) > before + 1);
}

char thread_state(pid_t pid, pid_t tid) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%d/task/%d/stat", (int)pid, (int)tid);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return 0;
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    char *end = strrchr(text, ')');
    return end == NULL ? 0 : end[2];
}

bool wait_for_thread_state(pid_t pid, pid_t tid, char state) {
    for (int i = 0; i < WAIT_MS && thread_state(pid, tid) != state; i++)
        sleep_ms(1);
    return thread_state(pid, tid) == state;
}

size_t count_lines_of(const char *path) {
    size_t lines = 0;
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    for (int letter; (letter = getc(file)) != EOF;)
        lines += letter == '\n';
    fclose(file);
    return lines;
}

size_t count_descriptors(void) {
    size_t count = 0;
    DIR *directory = opendir("/proc/self/fd");
    assert_non_null(directory);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

void assert_pause_as_permitted(const procinspect_dump_report *report, uint32_t max_pause_ms) {
    const uint64_t permitted_ns = (uint64_t)max_pause_ms * 1000000;
    assert_true(report->pause_stop_ns + report->pause_registers_ns + report->pause_memory_ns <
                permitted_ns);
    size_t notes = 0;
    for (size_t i = 0; i < report->note_count; i++)
        notes += report->notes[i]->kind == PROCINSPECT_DUMP_NOTE_PAUSE_EXCEEDED;
    assert_int_equal(notes, report->pause_ns > permitted_ns);
}
