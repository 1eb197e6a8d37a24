/* Captures that are refused: each says why, and the target runs on. */
#include "platform/capture/child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <elf.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- What is no target --- */

static void test_a_zombie(void **state) {
    (void)state;
    test_child child = child_start(beating_body);
    pi_capture_request request = default_request();
    siginfo_t ended; /* all its threads have */
    kill(child.pid, SIGKILL);
    assert_int_equal(waitid(P_PID, (id_t)child.pid, &ended, WEXITED | WNOWAIT), 0);
    assert_capture_fails(child.process, &request, PROCINSPECT_ERROR_NOT_FOUND, "zombie");
    child_end(&child);
}

static void test_a_process_that_is_gone(void **state) {
    (void)state;
    test_child child = child_start(beating_body);
    pi_capture_request request = default_request();
    pi_process *process = child.process;
    pi_system *system = child.system;
    child.process = NULL;
    child.system = NULL;
    child_end(&child);
    assert_capture_fails(process, &request, PROCINSPECT_ERROR_GONE, "has ended");
    pi_process_close(process);
    pi_system_close(system);
}

static void test_a_kernel_thread(void **state) {
    pi_system *system;
    pi_process *process = NULL;
    pi_capture_request request = default_request();
    (void)state;
    assert_int_equal(pi_system_open(NULL, &system, NULL), 0);
    /* Process 2 starts the others; a container hasn't got it. */
    if (thread_state(2, 2) == 0 || pi_process_open(system, 2, &process, NULL) != 0) {
        pi_system_close(system);
        skip();
    }
    assert_capture_fails(process, &request, PROCINSPECT_ERROR_UNSUPPORTED, "kernel");
    pi_process_close(process);
    pi_system_close(system);
}

/* A program for 32-bit machines: pause() for ever. */
static int write_program_of_32_bits(char *path) {
    static const unsigned char code[] = {0xb8, 29, 0, 0, 0, 0xcd, 0x80, 0xeb, 0xf7};
    enum { BASE = 0x10000, CODE = sizeof(Elf32_Ehdr) + sizeof(Elf32_Phdr) };
    Elf32_Ehdr header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT},
                         .e_type = ET_EXEC,
                         .e_machine = EM_386,
                         .e_version = EV_CURRENT,
                         .e_entry = BASE + CODE,
                         .e_phoff = sizeof(Elf32_Ehdr),
                         .e_ehsize = sizeof(Elf32_Ehdr),
                         .e_phentsize = sizeof(Elf32_Phdr),
                         .e_phnum = 1};
    Elf32_Phdr segment = {.p_type = PT_LOAD,
                          .p_vaddr = BASE,
                          .p_filesz = CODE + sizeof code,
                          .p_memsz = CODE + sizeof code,
                          .p_flags = PF_R | PF_X,
                          .p_align = 4096};
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, &header, sizeof header), sizeof header);
    assert_int_equal(write(file, &segment, sizeof segment), sizeof segment);
    assert_int_equal(write(file, code, sizeof code), sizeof code);
    assert_int_equal(fchmod(file, 0700), 0);
    return close(file);
}

static char program_path[] = "/tmp/procinspect-test-XXXXXX";

static void other_architecture_body(child_board *board) {
    atomic_store(&board->ready, 1);
    execl(program_path, "program", NULL);
    _exit(95);
}

static void test_another_architecture(void **state) {
    char link[64], target[64];
    pi_capture_request request = default_request();
    (void)state;
    assert_int_equal(write_program_of_32_bits(program_path), 0);
    test_child child = child_start(other_architecture_body);
    snprintf(link, sizeof link, "/proc/%d/exe", (int)child.pid);
    bool runs = false;
    for (int i = 0; i < 2000 && !runs && thread_state(child.pid, child.pid) != 'Z'; i++) {
        ssize_t length = readlink(link, target, sizeof target);
        runs = length > 0 && strncmp(target, program_path, (size_t)length) == 0;
        sleep_ms(1);
    }
    if (runs)
        assert_capture_fails(child.process, &request, PROCINSPECT_ERROR_UNSUPPORTED, "32-bit");
    child_end(&child);
    unlink(program_path);
    if (!runs)
        skip(); /* a kernel without 32-bit programs */
}

static void test_what_this_version_cannot_do(void **state) {
    (void)state;
    test_child child = child_start(beating_body);
    pi_capture_request request = default_request();
    request.type = 0x2042;
    assert_int_equal(pi_capture_types(), 0x21a07);
    assert_capture_fails(child.process, &request, PROCINSPECT_ERROR_UNSUPPORTED, ": 0x2040.");
    request = default_request();
    request.way = 7;
    assert_capture_fails(child.process, &request, PROCINSPECT_ERROR_UNSUPPORTED, "Way 7");
    child_end(&child);
}

/* --- Who already traces it --- */

static pid_t start_tracer(pid_t tid) {
    int ready[2];
    char byte = 0;
    assert_int_equal(pipe(ready), 0);
    pid_t tracer = fork();
    assert_true(tracer >= 0);
    if (tracer == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        byte = ptrace(PTRACE_SEIZE, tid, 0, 0) == 0 ? 'y' : 'n';
        if (write(ready[1], &byte, 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    assert_int_equal(byte, 'y');
    return tracer;
}

static void other_thread_body(child_board *board) {
    pthread_t thread;
    pthread_create(&thread, NULL, beat, board);
    DIR *directory = opendir("/proc/self/task");
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (atoi(entry->d_name) != (int)getpid())
            atomic_store(&board->tids[0], atoi(entry->d_name));
    closedir(directory);
    atomic_store(&board->ready, 1);
    for (;;)
        pause();
}

static void test_a_traced_process(void **state) {
    char text[64];
    pi_capture_request request = default_request();
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(other_thread_body);
    const pid_t traced[] = {child.pid, atomic_load(&child.board->tids[0])};
    for (int i = 0; i < 2; i++) {
        pid_t tracer = start_tracer(traced[i]);
        snprintf(text, sizeof text, "traced by process %d,", (int)tracer);
        assert_capture_fails(child.process, &request, PROCINSPECT_ERROR_TRACED, text);
        assert_beats(&child);
        kill(tracer, SIGKILL);
        assert_int_equal(waitpid(tracer, NULL, 0), tracer);
    }
    pi_snapshot_free(capture_child(&child));
    child_end(&child);
}

/* --- Who may not --- */

static void expect_other_user(const pi_process *process) {
    expect_capture_fails(process, PROCINSPECT_ERROR_PERMISSION, "it belongs to user 0");
}

static void test_another_users_process(void **state) {
    (void)state;
    if (geteuid() == 0) {
        test_child child = child_start(beating_body);
        run_as_nobody(expect_other_user, child.process);
        assert_beats(&child);
        child_end(&child);
        return;
    }
    pi_system *system;
    pi_process *process;
    assert_int_equal(pi_system_open(NULL, &system, NULL), 0);
    assert_int_equal(pi_process_open(system, 1, &process, NULL), 0);
    expect_other_user(process);
    pi_process_close(process);
    pi_system_close(system);
}

static void not_dumpable_body(child_board *board) {
    become_nobody();
    prctl(PR_SET_DUMPABLE, 0);
    beating_body(board);
}

static void expect_not_dumpable(const pi_process *process) {
    expect_capture_fails(process, PROCINSPECT_ERROR_PERMISSION, "not dumpable");
}

static void test_a_process_that_is_not_dumpable(void **state) {
    (void)state;
    test_child child = child_start(not_dumpable_body);
    run_as_nobody(expect_not_dumpable, child.process);
    assert_beats(&child);
    child_end(&child);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_zombie),
        cmocka_unit_test(test_a_process_that_is_gone),
        cmocka_unit_test(test_a_kernel_thread),
        cmocka_unit_test(test_another_architecture),
        cmocka_unit_test(test_what_this_version_cannot_do),
        cmocka_unit_test(test_a_traced_process),
        cmocka_unit_test(test_another_users_process),
        cmocka_unit_test(test_a_process_that_is_not_dumpable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
