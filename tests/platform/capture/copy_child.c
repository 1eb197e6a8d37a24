/* SPDX-License-Identifier: MIT */
#include "platform/capture/copy_child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <procinspect/dump.h>

pi_capture_request copy_request(void) {
    pi_capture_request request = default_request();
    request.type = PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY;
    request.way = PROCINSPECT_DUMP_WAY_COPY;
    return request;
}

int32_t copy_read(const pi_snapshot *snapshot, uint64_t address, size_t length, void *bytes,
                  procinspect_error *error) {
    return snapshot->source->read(snapshot->source, address, bytes, length, error);
}

uint64_t copy_word_at(const pi_snapshot *snapshot, uint64_t address) {
    uint64_t word;
    assert_int_equal(copy_read(snapshot, address, sizeof word, &word, NULL), 0);
    return word;
}

/* Of one of its threads, which may have ended; the last of them is in *child. */
static size_t count_of_thread(pid_t pid, const char *tid, int *child) {
    char path[64];
    size_t count = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%.16s/children", (int)pid, tid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    while (fscanf(file, "%d", child) == 1)
        count++;
    fclose(file);
    return count;
}

static size_t count_with_last(pid_t pid, int *child) {
    char path[32];
    size_t count = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *task = opendir(path);
    assert_non_null(task);
    for (const struct dirent *entry; (entry = readdir(task)) != NULL;)
        if (entry->d_name[0] != '.')
            count += count_of_thread(pid, entry->d_name, child);
    closedir(task);
    return count;
}

size_t count_children(pid_t pid) {
    int last;
    return count_with_last(pid, &last);
}

pid_t only_child_of(pid_t pid) {
    int child = 0;
    assert_int_equal(count_with_last(pid, &child), 1);
    return child;
}

void writing_body(child_board *board) {
    uint64_t *memory =
        mmap(NULL, COPY_LARGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        _exit(1);
    atomic_store(&board->words[0], (uint64_t)(uintptr_t)memory);
    for (uint64_t round = 1;; round++) {
        for (size_t i = 0; i < COPY_LARGE_BYTES / 8; i += COPY_PAGE / 8)
            ((volatile uint64_t *)memory)[i] = round;
        atomic_store(&board->words[1], round);
        atomic_store(&board->ready, 1);
    }
}

void wait_for_rounds(const test_child *child, uint64_t rounds) {
    uint64_t until = atomic_load(&child->board->words[1]) + rounds;
    while (atomic_load(&child->board->words[1]) < until)
        sleep_ms(1);
}

void assert_of_one_moment(const pi_snapshot *snapshot, uint64_t memory) {
    uint64_t before = copy_word_at(snapshot, memory), last = before;
    for (uint64_t at = 0; at < COPY_LARGE_BYTES; at += COPY_PAGE) {
        uint64_t word = copy_word_at(snapshot, memory + at);
        assert_true(word == last || (word + 1 == before && last == before));
        last = word;
    }
}

void assert_few_descriptors_do(const test_child *child, const pi_capture_request *request) {
    struct rlimit limit, few;
    unsigned refused = 0;
    size_t open_now = count_descriptors();
    getrlimit(RLIMIT_NOFILE, &limit);
    for (rlim_t left = 0; left < 16; left++) {
        procinspect_error error;
        pi_snapshot *snapshot = NULL;
        few = (struct rlimit){open_now + left, limit.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        int32_t code = pi_capture(child->process, request, &snapshot, &error);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        if (code != 0 && code != PROCINSPECT_ERROR_NO_RESOURCES)
            fail_msg("%u left: %d, %s", (unsigned)left, code, error.message);
        refused += code != 0;
        pi_snapshot_free(snapshot);
        assert_int_equal(count_children(child->pid), 0);
        assert_int_equal(count_descriptors(), open_now);
    }
    assert_true(refused > 0 && refused < 16);
}
