/* A shared library of the target `threads`: a frame between the program's own and the C library's.
 */
#ifndef TESTS_TARGETS_TARGET_FRAMES_H
#define TESTS_TARGETS_TARGET_FRAMES_H

/* Calls block(argument) from two functions of the library, one of them hidden. */
int target_frames_call(int (*block)(void *argument), void *argument);

#endif
