#include "target_frames.h"

static __attribute__((noinline)) int hidden_frame(int (*block)(void *argument), void *argument) {
    volatile char scratch[48] = {1};
    const int result = block(argument);
    return result + scratch[0];
}

int target_frames_call(int (*block)(void *argument), void *argument) {
    volatile long local = 7;
    const int result = hidden_frame(block, argument);
    return result + (int)local;
}
