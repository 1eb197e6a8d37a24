#include "platform/fuse_mount.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    FILE_NODE = 2,
    REQUEST_BYTES = 256 * 1024,
    WAIT_STEPS = 20000,
    CANNOT_MOUNT = -1,
    LIMIT_S = 60
};

typedef struct fuse_server {
    int device;
    const void *bytes;
    size_t length;
    fuse_board *board;
} fuse_server;

static void answer(const fuse_server *server, uint64_t request, int error, const void *body,
                   size_t length) {
    struct fuse_out_header header = {
        .len = (uint32_t)(sizeof header + length), .error = error, .unique = request};
    struct iovec parts[] = {{&header, sizeof header}, {(void *)(uintptr_t)body, length}};
    if (writev(server->device, parts, 2) < 0 && errno != ENOENT)
        _exit(1);
}

static struct fuse_attr attributes(const fuse_server *server, uint64_t node) {
    bool is_file = node == FILE_NODE;
    return (struct fuse_attr){.ino = node,
                              .size = is_file ? server->length : 0,
                              .mode = is_file ? S_IFREG | 0755 : S_IFDIR | 0755,
                              .nlink = 1,
                              .blksize = 4096};
}

static void answer_lookup(const fuse_server *server, uint64_t request, const char *name) {
    struct fuse_entry_out entry = {.nodeid = FILE_NODE, .attr = attributes(server, FILE_NODE)};
    if (strcmp(name, "file") == 0)
        answer(server, request, 0, &entry, sizeof entry);
    else
        answer(server, request, -ENOENT, NULL, 0);
}

static void answer_read(const fuse_server *server, uint64_t request,
                        const struct fuse_read_in *wanted) {
    if (atomic_load(&server->board->answers_no_read) != 0) {
        atomic_fetch_add(&server->board->reads_unanswered, 1);
        return;
    }
    size_t offset = wanted->offset < server->length ? (size_t)wanted->offset : server->length;
    size_t left = server->length - offset;
    answer(server, request, 0, (const char *)server->bytes + offset,
           left < wanted->size ? left : wanted->size);
}

static void answer_request(const fuse_server *server, const struct fuse_in_header *request) {
    const void *body = request + 1;
    struct fuse_init_out init = {.major = FUSE_KERNEL_VERSION,
                                 .minor = 31,
                                 .max_readahead = 65536,
                                 .max_background = 12,
                                 .congestion_threshold = 10,
                                 .max_write = 65536,
                                 .time_gran = 1};
    struct fuse_attr_out attr = {.attr = attributes(server, request->nodeid)};
    struct fuse_open_out opened = {.fh = 1};
    switch (request->opcode) {
    case FUSE_INIT:
        answer(server, request->unique, 0, &init, sizeof init);
        return;
    case FUSE_LOOKUP:
        answer_lookup(server, request->unique, body);
        return;
    case FUSE_GETATTR:
        answer(server, request->unique, 0, &attr, sizeof attr);
        return;
    case FUSE_OPEN:
        answer(server, request->unique, 0, &opened, sizeof opened);
        return;
    case FUSE_READ:
        answer_read(server, request->unique, body);
        return;
    case FUSE_FLUSH:
        atomic_fetch_add(&server->board->flushes, 1);
        if (atomic_load(&server->board->answers_flushes) != 0)
            answer(server, request->unique, 0, NULL, 0);
        return;
    case FUSE_RELEASE:
        answer(server, request->unique, 0, NULL, 0);
        return;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
        return;
    default:
        answer(server, request->unique, -ENOSYS, NULL, 0);
    }
}

/* In a mount namespace of its own, which goes with it. */
static void serve(fuse_server *server) {
    static char request[REQUEST_BYTES];
    char options[128];
    server->device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other",
             server->device);
    if (server->device < 0 || unshare(CLONE_NEWNS) != 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("fuse", "/mnt", "fuse", 0, options) != 0) {
        atomic_store(&server->board->is_mounted, CANNOT_MOUNT);
        return;
    }
    atomic_store(&server->board->is_mounted, 1);
    while (read(server->device, request, sizeof request) > 0)
        answer_request(server, (const struct fuse_in_header *)(const void *)request);
}

fuse_mount fuse_start(const void *bytes, size_t length) {
    fuse_mount made = {0};
    pid_t parent = getpid();
    made.board =
        mmap(NULL, sizeof *made.board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(made.board != MAP_FAILED);
    made.server = fork();
    assert_true(made.server >= 0);
    if (made.server == 0) {
        fuse_server server = {.bytes = bytes, .length = length, .board = made.board};
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(LIMIT_S); /* a test that fails ends only when its own files are closed */
        if (getppid() == parent)
            serve(&server);
        _exit(0);
    }
    for (int i = 0; i < WAIT_STEPS && atomic_load(&made.board->is_mounted) == 0; i++)
        usleep(1000);
    snprintf(made.path, sizeof made.path, "/proc/%d/root/mnt/file", (int)made.server);
    if (atomic_load(&made.board->is_mounted) == 1)
        return made;
    fuse_end(&made);
    skip();
    return made;
}

void fuse_end(fuse_mount *mount) {
    kill(mount->server, SIGKILL);
    assert_int_equal(waitpid(mount->server, NULL, 0), mount->server);
    munmap(mount->board, sizeof *mount->board);
}
