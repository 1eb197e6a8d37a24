#include "system/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { START_TIMEOUT_MS = 20000 };

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void sleep_ms(int ms) {
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

static void run_target(const char *const *argv, const int *input, const int *output) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (dup2(input[0], STDIN_FILENO) >= 0 && dup2(output[1], STDOUT_FILENO) >= 0) {
        union {
            const char *const *in;
            char *const *out;
        } arguments = {.in = argv};
        execv(argv[0], arguments.out);
    }
    _exit(127);
}

target target_start(const char *const *argv) {
    int input[2];
    int output[2];
    char line[64];
    char expected[64];
    assert_int_equal(pipe2(input, O_CLOEXEC), 0);
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    target t = {.pid = fork(), .input = input[1], .output = output[0]};
    assert_true(t.pid >= 0);
    if (t.pid == 0) {
        run_target(argv, input, output);
    }
    close(input[0]);
    close(output[1]);
    do {
        target_read_line(&t, line, sizeof line, START_TIMEOUT_MS);
    } while (strncmp(line, "skipped ", 8) == 0);
    snprintf(expected, sizeof expected, "ready %d", (int)t.pid);
    assert_string_equal(line, expected);
    /* It has said so, but may still be on its way out of write. */
    assert_true(wait_for_state(t.pid, 'S', START_TIMEOUT_MS));
    return t;
}

void target_read_line(const target *t, char *line, size_t size, int timeout_ms) {
    const int64_t end = now_ms() + timeout_ms;
    size_t length = 0;
    for (;;) {
        struct pollfd entry = {.fd = t->output, .events = POLLIN};
        const int64_t left = end - now_ms();
        char byte = 0;
        if (left <= 0 || poll(&entry, 1, (int)left) < 0 || read(t->output, &byte, 1) != 1) {
            if (errno == EINTR && left > 0) {
                continue;
            }
            fail_msg("process %d wrote no whole line in %d ms", (int)t->pid, timeout_ms);
        }
        if (byte == '\n') {
            break;
        }
        if (length + 1 < size) {
            line[length++] = byte;
        }
    }
    line[length] = '\0';
}

void target_send(const target *t, const char *text) {
    assert_int_equal(write(t->input, text, strlen(text)), (ssize_t)strlen(text));
}

int target_end(target *t, int timeout_ms) {
    const int64_t end = now_ms() + timeout_ms;
    int status = 0;
    pid_t ended = 0;
    close(t->input);
    while ((ended = waitpid(t->pid, &status, WNOHANG)) == 0 && now_ms() < end) {
        sleep_ms(5);
    }
    if (ended == 0) {
        kill(t->pid, SIGKILL);
        ended = waitpid(t->pid, &status, 0);
    }
    close(t->output);
    assert_int_equal(ended, t->pid);
    return status;
}

char thread_state(pid_t pid, pid_t tid) {
    char path[64];
    char text[512];
    snprintf(path, sizeof path, "/proc/%d/task/%d/stat", (int)pid, (int)tid);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return '?';
    }
    const ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    text[length > 0 ? length : 0] = '\0';
    const char *end = strrchr(text, ')');
    return end != NULL && end[1] == ' ' ? end[2] : '?';
}

bool wait_for_state(pid_t pid, char state, int timeout_ms) {
    const int64_t end = now_ms() + timeout_ms;
    while (thread_state(pid, pid) != state) {
        if (now_ms() > end) {
            return false;
        }
        sleep_ms(1);
    }
    return true;
}

size_t count_entries(const char *path) {
    size_t count = 0;
    DIR *directory = opendir(path);
    assert_non_null(directory);
    for (const struct dirent *entry = readdir(directory); entry != NULL;
         entry = readdir(directory)) {
        count += entry->d_name[0] != '.';
    }
    closedir(directory);
    return count;
}

procinspect_context *open_context(void) {
    procinspect_context_options options;
    procinspect_context *context = NULL;
    procinspect_error error = {0};
    procinspect_context_options_init(&options, sizeof options);
    options.allow = PROCINSPECT_ALLOW_DUMP;
    if (procinspect_context_new(&options, &context, &error) != PROCINSPECT_OK) {
        fail_msg("%s", error.message);
    }
    return context;
}

procinspect_process *open_process(const procinspect_context *context, pid_t pid) {
    procinspect_process *process = NULL;
    procinspect_error error = {0};
    if (procinspect_process_open(context, pid, &process, &error) != PROCINSPECT_OK) {
        fail_msg("%s", error.message);
    }
    return process;
}

static bool yama_restricts(void) {
    char value = '0';
    const int fd = open("/proc/sys/kernel/yama/ptrace_scope", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        const bool complete = read(fd, &value, 1) == 1;
        close(fd);
        return complete && value != '0';
    }
    return false;
}

procinspect_dump *capture(const procinspect_process *process) {
    return capture_as(process, PROCINSPECT_DUMP_TYPE_NORMAL, PROCINSPECT_DUMP_WAY_AUTO);
}

procinspect_dump *capture_as(const procinspect_process *process, uint32_t type, uint32_t way) {
    procinspect_dump *dump = NULL;
    procinspect_dump_options options;
    procinspect_error error = {0};
    procinspect_dump_options_init(&options, sizeof options);
    options.type = type;
    options.way = way;
    const int32_t result = procinspect_dump_capture(process, &options, &dump, &error);
    if (result == PROCINSPECT_ERROR_PERMISSION && yama_restricts()) {
        print_message("Yama keeps this user from tracing: %s\n", error.message);
        skip();
    }
    if (result != PROCINSPECT_OK) {
        fail_msg("%s: %s", procinspect_error_name(result), error.message);
    }
    return dump;
}

void save_dump(procinspect_dump *dump, const char *path) {
    procinspect_stream *stream = NULL;
    procinspect_error error = {0};
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    if (procinspect_stream_open_dump(dump, NULL, &stream, &error) != PROCINSPECT_OK ||
        procinspect_stream_write_to_descriptor(stream, fd, &error) != PROCINSPECT_OK) {
        fail_msg("%s", error.message);
    }
    assert_int_equal(procinspect_stream_position_bytes(stream), procinspect_dump_size_bytes(dump));
    procinspect_stream_free(stream);
    assert_int_equal(close(fd), 0);
}

void *kill_it(void *argument) {
    const kill_later *killer = argument;
    usleep(killer->delay_us);
    kill(killer->pid, SIGKILL);
    return NULL;
}
