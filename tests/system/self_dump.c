/*
 * A host that dumps itself: usage: self_dump FILE THREADS
 *
 * Starts THREADS threads that stand still, dumps its own process from the main thread into FILE,
 * prints `ready PID` and stands still until its input ends.
 */
#include <procinspect.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int silent_pipe[2];
static pthread_barrier_t all_started;

static void *stand_still(void *unused) {
    char byte = 0;
    (void)unused;
    pthread_barrier_wait(&all_started);
    return (void *)(intptr_t)read(silent_pipe[0], &byte, 1);
}

static int fail(const char *what, const procinspect_error *error) {
    fprintf(stderr, "self_dump: %s: %s\n", what, error->message);
    return 1;
}

static int save(procinspect_dump *dump, const char *path, procinspect_error *error) {
    procinspect_stream *stream = NULL;
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int32_t result = procinspect_stream_open_dump(dump, NULL, &stream, error);
    if (result == PROCINSPECT_OK) {
        result = procinspect_stream_write_to_descriptor(stream, fd, error);
    }
    procinspect_stream_free(stream);
    return close(fd) == 0 && result == PROCINSPECT_OK ? 0 : 1;
}

static int dump_self(const char *path) {
    procinspect_context_options options;
    procinspect_context *context = NULL;
    procinspect_process *process = NULL;
    procinspect_dump *dump = NULL;
    procinspect_error error = {0};
    procinspect_context_options_init(&options, sizeof options);
    options.allow = PROCINSPECT_ALLOW_DUMP;
    if (procinspect_context_new(&options, &context, &error) != PROCINSPECT_OK ||
        procinspect_process_open(context, 0, &process, &error) != PROCINSPECT_OK) {
        return fail("opening itself", &error);
    }
    if (procinspect_dump_capture(process, NULL, &dump, &error) != PROCINSPECT_OK) {
        return fail("capture", &error);
    }
    if (save(dump, path, &error) != 0) {
        return fail(path, &error);
    }
    procinspect_dump_free(dump);
    procinspect_process_free(process);
    procinspect_context_free(context);
    return 0;
}

int main(int argc, char **argv) {
    char buffer[16];
    const unsigned threads = argc == 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    if (threads == 0 || threads > 1000 || pipe2(silent_pipe, O_CLOEXEC) != 0) {
        fprintf(stderr, "usage: self_dump FILE THREADS\n");
        return 2;
    }
    pthread_barrier_init(&all_started, NULL, threads + 1);
    for (unsigned i = 0; i < threads; i++) {
        pthread_t thread;
        char name[16];
        snprintf(name, sizeof name, "still-%u", i);
        errno = pthread_create(&thread, NULL, stand_still, NULL);
        if (errno != 0) {
            perror("self_dump: pthread_create");
            return 1;
        }
        pthread_setname_np(thread, name);
    }
    pthread_barrier_wait(&all_started);
    usleep(200000); /* from the barrier into read(): the comparison wants them there */
    if (dump_self(argv[1]) != 0) {
        return 1;
    }
    printf("ready %d\n", (int)getpid());
    fflush(stdout);
    while (read(STDIN_FILENO, buffer, sizeof buffer) > 0) {
    }
    _exit(0);
}
