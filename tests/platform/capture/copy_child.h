/* Captures by copy of children that write to their memory. */
#ifndef TESTS_PLATFORM_CAPTURE_COPY_CHILD_H
#define TESTS_PLATFORM_CAPTURE_COPY_CHILD_H

#include "platform/capture/child.h"

enum { COPY_PAGE = 4096, COPY_LARGE_BYTES = 80 * 1024 * 1024 };

/* Full memory, by copy. */
pi_capture_request copy_request(void);
int32_t copy_read(const pi_snapshot *snapshot, uint64_t address, size_t length, void *bytes,
                  procinspect_error *error);
uint64_t copy_word_at(const pi_snapshot *snapshot, uint64_t address);

/* The children of a process, of whichever thread, the zombies among them too. */
size_t count_children(pid_t pid);
pid_t only_child_of(pid_t pid);

/* Counts in all pages of words[0], COPY_LARGE_BYTES, one after the other, and says in words[1] how
 * often. */
void writing_body(child_board *board);
void wait_for_rounds(const test_child *child, uint64_t rounds);

/* All pages of a writing_body are of one round, or of that and the next. */
void assert_of_one_moment(const pi_snapshot *snapshot, uint64_t memory);

/* However many descriptors are left: it is captured, or the answer says so, and nothing stays. */
void assert_few_descriptors_do(const test_child *child, const pi_capture_request *request);

#endif
