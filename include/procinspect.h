/* SPDX-License-Identifier: MIT */
#ifndef PROCINSPECT_PROCINSPECT_H
#define PROCINSPECT_PROCINSPECT_H

/*
 * libprocinspect: find out why a program misbehaves, from inside any host program.
 *
 * Reading order:
 *
 *   error.h, context.h         what every call returns; what the host allows
 *   process.h                  list the processes, open one, ask it
 *   thread.h module.h          its threads and modules,
 *   open_file.h environment.h  its descriptors and environment
 *   dump.h stream.h            a minidump of it, and how to send that somewhere
 *   zip_manifest.h             what a zip holds beside it
 *   kill.h                     end it, and everything it started
 *   json.h http.h              all of that as JSON, and as the routes of Kudu's /api/processes
 *
 * The rules that hold everywhere:
 *
 * Ownership. What a call gives through a pointer-to-pointer is the caller's, and the header names
 * the function that frees it; all _free functions accept NULL. What a function returns directly,
 * and what is reached through a handed-out struct, is borrowed and lives as long as its parent.
 * Handed-out structs are const: the library allocates them, they can grow at their end in later
 * versions, never copy one by value.
 *
 * Options. A struct that the caller hands in starts with struct_size. Call its _init function with
 * sizeof of the struct, then set what you want different; a NULL in place of one means the
 * defaults. All members that you don't set must stay as _init left them. An _init with NULL, or a
 * size below 4 or above 4096, does nothing: a struct that is used all the same is refused.
 *
 * NULL in place of a handle is INVALID_ARGUMENT where a call can fail; functions that can't fail
 * and are no _free need a valid one.
 *
 * Errors. A call that can fail returns 0 or a negative code and takes a nullable procinspect_error
 * last. Where it fails its outputs are as they were. The library logs nothing, installs no signal
 * or exit handler, keeps no global state (but for whose turn it is to dump the own process, and
 * what tells the descriptors of dumps at once apart) and never ends the process unless it is asked
 * to (kill.h).
 *
 * Threads. A procinspect_context, a procinspect_http, a procinspect_dump and a
 * procinspect_cancellation may be used from several threads at once; handed-out structs never
 * change, so they may be read from any. Any other handle belongs to one thread at a time. Callbacks
 * run on the thread of the call that they were given to. A thread that is ended by pthread_cancel
 * in a call loses what the call holds. Dumps that are captured or streamed into a descriptor, and
 * trees that are ended, put that off until the call is done: to end it sooner there is
 * procinspect_cancellation.
 *
 * Text is UTF-8, NUL-terminated; bytes that are not valid UTF-8 were replaced by U+FFFD. Where the
 * raw bytes matter they stand beside it with a length.
 */

#include <procinspect/cancellation.h>
#include <procinspect/context.h>
#include <procinspect/dump.h>
#include <procinspect/environment.h>
#include <procinspect/error.h>
#include <procinspect/http.h>
#include <procinspect/json.h>
#include <procinspect/kill.h>
#include <procinspect/module.h>
#include <procinspect/open_file.h>
#include <procinspect/process.h>
#include <procinspect/stream.h>
#include <procinspect/thread.h>
#include <procinspect/unavailable.h>
#include <procinspect/version.h>
#include <procinspect/zip_manifest.h>

#endif
