/* Forks and copies of programs that are linked, or written, in other ways than the tests are: these
 * go on. */
#include "platform/capture/child.h"
#include "platform/capture/fork_run.h"
#include "platform/module_process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <procinspect/dump.h>

#define PROGRAM(name) TESTS_BUILD_DIR "/platform/capture/program_" name
#define SOURCE(name) TESTS_SOURCE_DIR "/platform/capture/" name

/* A program that works, and the file to which it appends a letter for each piece of its work: r of
 * what runs, s of what sleeps. */
typedef struct worker {
    pid_t pid;
    char folder[FOLDER_SIZE];
    char progress[FOLDER_SIZE + 16];
} worker;

static size_t count_letters(const char *path, char letter) {
    size_t count = 0;
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    for (int found; (found = getc(file)) != EOF;)
        count += found == letter;
    fclose(file);
    return count;
}

static void wait_for_letters(const worker *it, char letter) {
    enum { MOST_MS = 60000, STEP_MS = 5, PIECES = 5 };
    const size_t wanted = count_letters(it->progress, letter) + PIECES;
    for (int ms = 0; ms < MOST_MS && count_letters(it->progress, letter) < wanted; ms += STEP_MS)
        sleep_ms(STEP_MS);
    if (count_letters(it->progress, letter) < wanted)
        fail_msg("nothing more of '%c' from process %d", letter, (int)it->pid);
}

static void assert_goes_on(const worker *it) {
    assert_int_equal(waitpid(it->pid, NULL, WNOHANG), 0);
    wait_for_letters(it, 'r');
    wait_for_letters(it, 's');
}

/* With the program's source, where it is run from that. */
static worker worker_start(const char *program, const char *source) {
    worker it;
    folder_make(it.folder);
    snprintf(it.progress, sizeof it.progress, "%s/progress", it.folder);
    const int file = open(it.progress, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    close(file);
    const char *const arguments[4] = {source != NULL ? source : it.progress,
                                      source != NULL ? it.progress : NULL};
    it.pid = target_start(program, arguments);
    return it;
}

static void worker_end(const worker *it) {
    target_end(it->pid);
    folder_remove(it->folder);
}

/* A whole capture, all of which is read while the program works. */
static void copy_it(const worker *it) {
    pi_system *system;
    pi_process *process;
    pi_capture_request request = default_request();
    request.type = PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY;
    request.way = PROCINSPECT_DUMP_WAY_COPY;
    assert_int_equal(pi_system_open(NULL, &system, NULL), 0);
    assert_int_equal(pi_process_open(system, it->pid, &process, NULL), 0);
    pi_snapshot *snapshot = capture_process(process, &request);
    assert_goes_on(it);
    pi_snapshot_free(snapshot);
    pi_process_close(process);
    pi_system_close(system);
}

static void assert_copied_well(const char *program, const char *source) {
    skip_unless_children_can_be_traced();
    const worker it = worker_start(program, source);
    assert_goes_on(&it);
    for (int i = 0; i < 3; i++) {
        fork_once(it.pid);
        assert_true(count_children(it.pid) <= 0);
    }
    assert_goes_on(&it);
    for (int i = 0; i < 3; i++) {
        copy_it(&it);
        assert_true(count_children(it.pid) <= 0);
    }
    assert_goes_on(&it);
    worker_end(&it);
}

/* Says what isn't there, where it isn't. */
static void skip_without(const char *program) {
    if (access(program, X_OK) == 0)
        return;
    print_message("# %s isn't there\n", program);
    skip();
}

static void linked_in_each_way(void **state) {
    (void)state;
    assert_copied_well(PROGRAM("pie"), NULL);
    assert_copied_well(PROGRAM("fixed"), NULL);
    assert_copied_well(PROGRAM("static"), NULL);
    assert_copied_well(PROGRAM("static_pie"), NULL);
}

static void python(void **state) {
    (void)state;
    skip_without("/usr/bin/python3");
    assert_copied_well("/usr/bin/python3", SOURCE("python_target.py"));
}

/* Through its main thread, which sleeps, or the worker; the others are the runtime's. */
static void node(void **state) {
    (void)state;
    skip_without("/usr/bin/node");
    assert_copied_well("/usr/bin/node", SOURCE("node_target.js"));
}

/* It compiles its source itself, where it has that module; Debian's has it without the JDK, too. */
static void java(void **state) {
    (void)state;
    skip_without("/usr/bin/java");
    if (system("/usr/bin/java --describe-module jdk.compiler >/dev/null 2>&1") != 0) {
        print_message("# /usr/bin/java has no compiler\n");
        skip();
    }
    assert_copied_well("/usr/bin/java", SOURCE("java_target.java"));
}

static void go(void **state) {
    (void)state;
    skip_without(PROGRAM("go"));
    assert_copied_well(PROGRAM("go"), NULL);
}

static void musl(void **state) {
    (void)state;
    skip_without(PROGRAM("musl"));
    assert_copied_well(PROGRAM("musl"), NULL);
}

/* It handles no signal, and so has no code that returns from a handler. */
static void musl_without_handlers(void **state) {
    (void)state;
    skip_without(PROGRAM("musl_plain"));
    assert_copied_well(PROGRAM("musl_plain"), NULL);
}

/* It can't be copied, and is spooled. */
static void without_code_to_return_through(void **state) {
    procinspect_error error;
    pi_system *system;
    pi_process *process;
    pi_snapshot *snapshot = NULL;
    (void)state;
    skip_unless_children_can_be_traced();
    pid_t pid = target_start(PROGRAM("bare"), (const char *const[4]){NULL});
    assert_int_equal(pi_system_open(NULL, &system, NULL), 0);
    assert_int_equal(pi_process_open(system, pid, &process, NULL), 0);
    pi_capture_request request = default_request();
    request.type = PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY;
    request.hold_buffer_bytes = 4096;
    assert_capture_fails(process, &request, PROCINSPECT_ERROR_UNSUPPORTED,
                         "no place from which a thread could call the kernel");
    request.spool_directory = "/tmp";
    if (pi_capture(process, &request, &snapshot, &error) != 0)
        fail_msg("%d: %s", error.code, error.message);
    assert_int_equal(snapshot->report.way, PROCINSPECT_DUMP_WAY_SPOOL);
    assert_non_null(strstr(snapshot->report.way_reason, "no place from which"));
    pi_snapshot_free(snapshot);
    pi_process_close(process);
    pi_system_close(system);
    target_end(pid);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linked_in_each_way),
        cmocka_unit_test(musl),
        cmocka_unit_test(musl_without_handlers),
        cmocka_unit_test(without_code_to_return_through),
        cmocka_unit_test(python),
        cmocka_unit_test(node),
        cmocka_unit_test(java),
        cmocka_unit_test(go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
