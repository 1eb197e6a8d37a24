/* A dump by copy of very much memory: of what it holds the library has next to nothing, however,
 * and however slowly, it is read. */
#include "system/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, WRITTEN_EVERY = 1 << 20, LIMIT_KIB = 16 * 1024, PART_BYTES = 1 << 20 };

static const uint64_t memory_bytes = UINT64_C(4) << 30;
/* Some times the limit, and not much of a disk. */
static const uint64_t file_memory_bytes = UINT64_C(128) << 20;
static unsigned char part[PART_BYTES];
static unsigned char *memory; /* in the target; nothing of it is there in this process */
static pid_t target_pid;

/* Pages that were only read exist, too, and all of them are the kernel's one page of zeros: it
 * takes no 4 GiB to have as much. One in each MiB is written to, so that the mapping has pages of
 * its own and its copy has all that there are. */
static _Noreturn void be_target(int ready, uint64_t bytes) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (uint64_t at = 0; at < bytes; at += WRITTEN_EVERY)
        memory[at] = 1;
    for (uint64_t at = 0; at < bytes; at += PAGE)
        (void)*(volatile unsigned char *)&memory[at];
    if (write(ready, "", 1) != 1)
        _exit(1);
    for (;;)
        pause();
}

static int map_memory(void **state) {
    (void)state;
    memory = mmap(NULL, memory_bytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return 0; /* the tests say so */
    /* One page of zeros each, and of what is written 4 KiB, not 2 MiB. */
    madvise(memory, memory_bytes, MADV_NOHUGEPAGE);
    memset(part, 1, sizeof part);
    return 0;
}

static int unmap_memory(void **state) {
    (void)state;
    return memory == MAP_FAILED ? 0 : munmap(memory, memory_bytes);
}

/* Of the memory so many bytes are the target's. */
static void start_target(uint64_t bytes) {
    int ready[2];
    char byte;
    if (memory == MAP_FAILED) {
        print_message("# 4 GiB of addresses aren't to be had: see RLIMIT_AS\n");
        skip();
    }
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    target_pid = fork();
    assert_true(target_pid >= 0);
    if (target_pid == 0)
        be_target(ready[1], bytes);
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
}

static int end_target(void **state) {
    (void)state;
    if (target_pid <= 0) /* skipped; to kill(2) these are whole groups, or everybody */
        return 0;
    kill(target_pid, SIGKILL);
    const bool is_ended = waitpid(target_pid, NULL, 0) == target_pid;
    target_pid = 0;
    return is_ended ? 0 : -1;
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

/* A stream over a dump of the target, all of whose memory it has, and what there was before. */
typedef struct large_dump {
    procinspect_context *context;
    procinspect_process *process;
    procinspect_dump *dump;
    procinspect_stream *stream;
    uint64_t idle_kib;
} large_dump;

static large_dump open_dump(uint64_t bytes) {
    large_dump it = {0};
    it.context = open_context();
    it.process = open_process(it.context, target_pid);
    forget_peak();
    it.idle_kib = own_kib("VmRSS:");
    it.dump =
        capture_as(it.process, PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY, PROCINSPECT_DUMP_WAY_COPY);
    const procinspect_dump_report *report = procinspect_dump_report_get(it.dump);
    assert_int_equal(report->way, PROCINSPECT_DUMP_WAY_COPY);
    assert_true(report->memory_bytes >= bytes);
    assert_int_equal(procinspect_stream_open_dump(it.dump, NULL, &it.stream, NULL), 0);
    return it;
}

static void close_within_limit(large_dump *it) {
    const uint64_t more_kib = own_kib("VmHWM:") - it->idle_kib;
    print_message("# %llu of %llu MiB: %llu KiB above idle\n",
                  (unsigned long long)(procinspect_stream_position_bytes(it->stream) >> 20),
                  (unsigned long long)(procinspect_dump_size_bytes(it->dump) >> 20),
                  (unsigned long long)more_kib);
    assert_true(more_kib <= LIMIT_KIB);
    procinspect_stream_free(it->stream);
    procinspect_dump_free(it->dump);
    procinspect_process_free(it->process);
    procinspect_context_free(it->context);
}

static void write_rest(const large_dump *it, int file) {
    procinspect_error error = {0};
    if (procinspect_stream_write_to_descriptor(it->stream, file, &error) != 0)
        fail_msg("%s", error.message);
    assert_int_equal(procinspect_stream_position_bytes(it->stream),
                     procinspect_dump_size_bytes(it->dump));
}

static void test_read_as_fast_as_it_comes(void **state) {
    (void)state;
    start_target(memory_bytes);
    large_dump it = open_dump(memory_bytes);
    pull(it.stream, memory_bytes / 2);
    const int file = open("/dev/null", O_WRONLY | O_CLOEXEC);
    assert_true(file >= 0);
    write_rest(&it, file);
    close(file);
    close_within_limit(&it);
}

/* --- A slow reader --- */

/* Takes a little now and then, and goes before it has all. */
static void *read_slowly(void *argument) {
    enum { PARTS = 100, PAUSE_US = 10000, SLOW_PART_BYTES = 64 * 1024 };
    static unsigned char taken[SLOW_PART_BYTES];
    const int end = *(const int *)argument;
    for (int i = 0; i < PARTS && read(end, taken, sizeof taken) > 0; i++)
        usleep(PAUSE_US);
    close(end);
    return NULL;
}

static void test_read_slowly(void **state) {
    int ends[2];
    pthread_t reader;
    procinspect_error error = {0};
    (void)state;
    start_target(memory_bytes);
    large_dump it = open_dump(memory_bytes);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(pthread_create(&reader, NULL, read_slowly, &ends[0]), 0);
    assert_int_equal(procinspect_stream_write_to_descriptor(it.stream, ends[1], &error),
                     PROCINSPECT_ERROR_IO);
    assert_int_equal(error.os_errno, EPIPE);
    pthread_join(reader, NULL);
    close(ends[1]);
    assert_true(procinspect_stream_position_bytes(it.stream) < memory_bytes / 16);
    close_within_limit(&it);
}

/* --- A file --- */

static void test_written_into_a_file(void **state) {
    char path[] = "/tmp/procinspect-large-XXXXXX";
    struct stat status;
    (void)state;
    start_target(file_memory_bytes);
    large_dump it = open_dump(file_memory_bytes);
    const int file = mkostemp(path, O_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(unlink(path), 0);
    write_rest(&it, file);
    assert_int_equal(fstat(file, &status), 0);
    assert_int_equal(status.st_size, procinspect_dump_size_bytes(it.dump));
    close(file);
    close_within_limit(&it);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_read_as_fast_as_it_comes, end_target),
        cmocka_unit_test_teardown(test_read_slowly, end_target),
        cmocka_unit_test_teardown(test_written_into_a_file, end_target),
    };
    return cmocka_run_group_tests_name("dump_large", tests, map_memory, unmap_memory);
}
