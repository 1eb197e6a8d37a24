/* Full dumps, by copy, of programs in other languages than C: LLDB shows in them what the programs
 * say that they have, and the threads, modules and backtraces of the live process. */
#include "system/dump_file.h"
#include "system/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char values_path[] = "/tmp/procinspect-values-XXXXXX";

static int make_files(void **state) {
    const int fd = mkstemp(values_path);
    return fd >= 0 && close(fd) == 0 ? make_dump_file(state) : -1;
}

static int remove_files(void **state) {
    return unlink(values_path) == 0 ? remove_dump_file(state) : -1;
}

/* Into the file, what the process says behind its first line. */
static size_t save_values(const target *t) {
    enum { LINE_SIZE = 1024, TIMEOUT_MS = 20000 };
    char line[LINE_SIZE];
    size_t count = 0;
    FILE *file = fopen(values_path, "we");
    assert_non_null(file);
    for (target_read_line(t, line, sizeof line, TIMEOUT_MS); strcmp(line, "end") != 0; count++) {
        fprintf(file, "%s\n", line);
        target_read_line(t, line, sizeof line, TIMEOUT_MS);
    }
    assert_int_equal(fclose(file), 0);
    return count;
}

/* How often the threads have slept so far; 0 where one does anything else now. */
static unsigned long count_sleeps(pid_t pid) {
    char path[64], line[128];
    unsigned long sum = 1;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    assert_non_null(tasks);
    for (struct dirent *each; (each = readdir(tasks)) != NULL;) {
        if (each->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/%d/task/%.16s/status", (int)pid, each->d_name);
        FILE *status = fopen(path, "re");
        bool sleeps = false;
        while (status != NULL && fgets(line, sizeof line, status) != NULL) {
            unsigned long switches;
            sleeps |= strncmp(line, "State:\tS", 8) == 0;
            if (sscanf(line, "voluntary_ctxt_switches: %lu", &switches) == 1)
                sum += switches;
        }
        if (status != NULL)
            fclose(status);
        sum = sleeps ? sum : 0;
        if (sum == 0)
            break;
    }
    closedir(tasks);
    return sum;
}

/* A runtime's own threads take a while to come to rest. */
static void wait_until_it_rests(pid_t pid) {
    enum { ROUNDS = 300, STEP_US = 100000 };
    unsigned long before = 0, now = 0;
    for (int i = 0; now == 0 || now != before; i++) {
        assert_true(i < ROUNDS);
        before = now;
        usleep(STEP_US);
        now = count_sleeps(pid);
    }
}

static void check_values(const char *const *argv, size_t least_values) {
    char path[64], options[128];
    target t = target_start(argv);
    assert_true(save_values(&t) >= least_values);
    wait_until_it_rests(t.pid);
    snprintf(path, sizeof path, "/proc/%d/task", (int)t.pid);
    const size_t thread_count = count_entries(path);
    make_dump(&t, PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY, PROCINSPECT_DUMP_WAY_COPY);
    assert_well_formed_as(t.pid, thread_count, PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY);
    snprintf(options, sizeof options, "--values %s", values_path);
    assert_same_in_lldb(t.pid, thread_count, options);
    assert_int_equal(target_end(&t, 5000), 0);
}

/* Says what isn't there, where it isn't. */
static void skip_without(const char *program) {
    if (access(program, X_OK) == 0)
        return;
    print_message("# %s isn't there\n", program);
    skip();
}

static void test_cpp(void **state) {
    static const char program[] = TESTS_BUILD_DIR "/targets/values_cpp";
    (void)state;
    skip_without(program);
    check_values((const char *const[]){program, NULL}, 20);
}

static void test_go(void **state) {
    static const char program[] = TESTS_BUILD_DIR "/targets/values_go";
    (void)state;
    skip_without(program);
    check_values((const char *const[]){program, NULL}, 40);
}

static void test_python(void **state) {
    static const char script[] = TESTS_SOURCE_DIR "/targets/values.py";
    (void)state;
    check_values((const char *const[]){"/usr/bin/python3", script, NULL}, 12);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpp),
        cmocka_unit_test(test_go),
        cmocka_unit_test(test_python),
    };
    return cmocka_run_group_tests_name("dump_languages", tests, make_files, remove_files);
}
