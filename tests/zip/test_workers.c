/* SPDX-License-Identifier: MIT */
#include "zip/workers.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "zip/own_tasks.h"

static void submit(pi_zip_workers *workers, unsigned char value, size_t length) {
    pi_zip_block *block = pi_zip_workers_next_block(workers);
    assert_non_null(block);
    assert_int_equal(block->length, 0);
    memset(block->data, value, length);
    block->length = length;
    pi_zip_workers_submit(workers);
}

static void blocks_come_in_order(void **state) {
    (void)state;
    for (size_t count = 1; count <= 9; count += 4) {
        pi_zip_workers *workers = pi_zip_workers_new(1, count);
        unsigned char expected = 0;
        assert_null(pi_zip_workers_take(workers));
        for (unsigned i = 0; i < 200; i++) {
            submit(workers, (unsigned char)i, i % 7 == 0 ? PI_ZIP_BLOCK_BYTES : i + 1);
            while (pi_zip_workers_next_block(workers) == NULL) {
                const pi_zip_block *block = pi_zip_workers_take(workers);
                assert_int_equal(block->data[0], expected++);
                assert_int_equal(block->crc, crc32(0, block->data, (uInt)block->length));
            }
        }
        for (const pi_zip_block *block; (block = pi_zip_workers_take(workers)) != NULL;)
            assert_int_equal(block->data[0], expected++);
        assert_int_equal(expected, 200);
        pi_zip_workers_free(workers);
    }
}

static void a_window_is_what_came_before(void **state) {
    (void)state;
    static const size_t lengths[] = {10, 5, 30000, 20000, PI_ZIP_BLOCK_BYTES, 1};
    static const size_t windows[] = {0, 10, 15, 30015, 32768, 32768};
    pi_zip_workers *workers = pi_zip_workers_new(1, 2);
    for (unsigned char i = 0; i < 6; i++) {
        pi_zip_block *block = pi_zip_workers_next_block(workers);
        assert_int_equal(block->window_length, windows[i]);
        if (i > 0)
            assert_int_equal(block->data[-1], i - 1);
        if (i == 3) {
            assert_int_equal(block->data[-30001], 1);
            assert_int_equal(block->data[-30006], 0);
        }
        submit(workers, i, lengths[i]);
    }
    while (pi_zip_workers_take(workers) != NULL)
        continue;
    pi_zip_workers_restart(workers);
    assert_int_equal(pi_zip_workers_next_block(workers)->window_length, 0);
    pi_zip_workers_free(workers);
}

static void threads_come_with_the_blocks_and_go(void **state) {
    (void)state;
    size_t before = own_task_count();
    pi_zip_workers *workers = pi_zip_workers_new(9, 4);
    assert_own_tasks(before);
    for (unsigned i = 0; i < 10; i++) {
        submit(workers, 7, PI_ZIP_BLOCK_BYTES);
        assert_own_tasks(before + (i < 4 ? i + 1 : 4));
    }
    assert_null(pi_zip_workers_next_block(workers)); /* nobody takes: nothing more goes in */
    pi_zip_workers_free(workers);
    assert_own_tasks(before);
    pi_zip_workers_free(NULL);
}

/* SigBlk of every thread but the first. */
static void they_block_all_signals(void **state) {
    (void)state;
    sigset_t mask_before, mask_after;
    pthread_sigmask(SIG_SETMASK, NULL, &mask_before);
    pi_zip_workers *workers = pi_zip_workers_new(1, 2);
    submit(workers, 1, 1);
    submit(workers, 1, 1);
    pthread_sigmask(SIG_SETMASK, NULL, &mask_after);
    for (int number = 1; number <= 31; number++)
        assert_int_equal(sigismember(&mask_before, number), sigismember(&mask_after, number));
    DIR *tasks = opendir("/proc/self/task");
    size_t found = 0;
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
        char path[300], line[128];
        unsigned long long blocked = 0;
        if (entry->d_name[0] == '.' || atoi(entry->d_name) == getpid())
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
        FILE *file = fopen(path, "r");
        assert_non_null(file);
        while (fgets(line, sizeof line, file) != NULL)
            sscanf(line, "SigBlk: %llx", &blocked);
        fclose(file);
        for (int number = 1; number <= 31; number++)
            if (number != SIGKILL && number != SIGSTOP)
                assert_true(blocked >> (number - 1) & 1);
        found++;
    }
    closedir(tasks);
    assert_true(found >= 2);
    pi_zip_workers_free(workers);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_come_in_order),
        cmocka_unit_test(a_window_is_what_came_before),
        cmocka_unit_test(threads_come_with_the_blocks_and_go),
        cmocka_unit_test(they_block_all_signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
