/* A dump by copy of very much memory: of what it holds the library has next to nothing, however it
 * is read. */
#include "system/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, WRITTEN_EVERY = 1 << 20, LIMIT_KIB = 16 * 1024, PART_BYTES = 1 << 20 };

static const uint64_t memory_bytes = UINT64_C(4) << 30;
static unsigned char part[PART_BYTES];
static unsigned char *memory; /* in the target; nothing of it is there in this process */
static pid_t target_pid;

/* Pages that were only read exist, too, and all of them are the kernel's one page of zeros: it
 * takes no 4 GiB to have as much. One in each MiB is written to, so that the mapping has pages of
 * its own and its copy has all that there are. */
static _Noreturn void be_target(int ready) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (uint64_t at = 0; at < memory_bytes; at += WRITTEN_EVERY)
        memory[at] = 1;
    for (uint64_t at = 0; at < memory_bytes; at += PAGE)
        (void)*(volatile unsigned char *)&memory[at];
    if (write(ready, "", 1) != 1)
        _exit(1);
    for (;;)
        pause();
}

static int start_large(void **state) {
    int ready[2];
    char byte;
    (void)state;
    memory = mmap(NULL, memory_bytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return 0; /* the test says so */
    /* One page of zeros each, and of what is written 4 KiB, not 2 MiB. */
    madvise(memory, memory_bytes, MADV_NOHUGEPAGE);
    if (pipe2(ready, O_CLOEXEC) != 0 || (target_pid = fork()) < 0)
        return -1;
    if (target_pid == 0)
        be_target(ready[1]);
    close(ready[1]);
    const bool is_ready = read(ready[0], &byte, 1) == 1;
    close(ready[0]);
    memset(part, 1, sizeof part);
    return is_ready ? 0 : -1;
}

static int end_large(void **state) {
    (void)state;
    if (memory == MAP_FAILED)
        return 0;
    munmap(memory, memory_bytes);
    if (target_pid <= 0) /* no fork: kill(2) would take that for everybody */
        return -1;
    kill(target_pid, SIGKILL);
    return waitpid(target_pid, NULL, 0) == target_pid ? 0 : -1;
}

/* Of this process, and of the library's helper: they have their memory in common. */
static uint64_t own_kib(const char *label) {
    char line[256];
    uint64_t kib = UINT64_MAX;
    FILE *status = fopen("/proc/self/status", "re");
    assert_non_null(status);
    while (fgets(line, sizeof line, status) != NULL)
        if (strncmp(line, label, strlen(label)) == 0)
            kib = strtoull(line + strlen(label), NULL, 10);
    fclose(status);
    assert_int_not_equal(kib, UINT64_MAX);
    return kib;
}

/* VmHWM, the most that there was in memory, begins anew with what there is. */
static void forget_peak(void) {
    const int file = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(write(file, "5", 1), 1);
    close(file);
}

static void pull(procinspect_stream *stream, uint64_t bytes) {
    procinspect_error error = {0};
    size_t length = 1;
    for (uint64_t done = 0; done < bytes && length != 0; done += length)
        if (procinspect_stream_read(stream, part, sizeof part, &length, &error) != 0)
            fail_msg("%s", error.message);
}

static void test_the_library_stays_small(void **state) {
    procinspect_stream *stream = NULL;
    procinspect_error error = {0};
    (void)state;
    if (memory == MAP_FAILED) {
        print_message("# 4 GiB of addresses aren't to be had: see RLIMIT_AS\n");
        skip();
    }
    procinspect_context *context = open_context();
    procinspect_process *process = open_process(context, target_pid);
    forget_peak();
    const uint64_t idle_kib = own_kib("VmRSS:");

    procinspect_dump *dump =
        capture_as(process, PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY, PROCINSPECT_DUMP_WAY_COPY);
    const procinspect_dump_report *report = procinspect_dump_report_get(dump);
    assert_int_equal(report->way, PROCINSPECT_DUMP_WAY_COPY);
    assert_true(report->memory_bytes >= memory_bytes);
    assert_int_equal(procinspect_stream_open_dump(dump, NULL, &stream, &error), 0);
    pull(stream, memory_bytes / 2);
    const int file = open("/dev/null", O_WRONLY | O_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(procinspect_stream_write_to_descriptor(stream, file, &error), 0);
    close(file);
    assert_int_equal(procinspect_stream_position_bytes(stream), procinspect_dump_size_bytes(dump));

    const uint64_t more_kib = own_kib("VmHWM:") - idle_kib;
    print_message("# %llu MiB: %llu KiB above idle\n",
                  (unsigned long long)(procinspect_dump_size_bytes(dump) >> 20),
                  (unsigned long long)more_kib);
    assert_true(more_kib <= LIMIT_KIB);
    procinspect_stream_free(stream);
    procinspect_dump_free(dump);
    procinspect_process_free(process);
    procinspect_context_free(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_library_stays_small)};
    return cmocka_run_group_tests_name("dump_large", tests, start_large, end_large);
}
