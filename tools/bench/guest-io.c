/*
 * Reads and writes a disk in a guest and says how fast that was; see volume-io.ts.
 *   guest-io rate DEVICE BYTES r|w|R|W DEPTH MS   4k at random places (small letter), 1 MiB one after another (capital): operations a second
 *   guest-io gap DEVICE BYTES MS                  4k writes, each after the one before: the longest took so many microseconds
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static uint64_t seed = 88172645463325252ull;
static uint64_t place(void) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  return seed ^= seed << 17;
}

static int fail(const char *what) {
  perror(what);
  return 1;
}

static int rate(const char *device, uint64_t bytes, char kind, int depth, double length) {
  int writes = kind == 'w' || kind == 'W', large = kind == 'R' || kind == 'W';
  size_t size = large ? 1 << 20 : 4096;
  int fd = open(device, O_RDWR | O_DIRECT);
  aio_context_t context = 0;
  struct iocb *blocks = calloc(depth, sizeof *blocks), *next[64];
  struct io_event events[64];
  char *memory;
  if (fd < 0) return fail(device);
  if (syscall(SYS_io_setup, depth, &context) < 0) return fail("io_setup");
  if (posix_memalign((void **)&memory, 4096, size * depth)) return fail("memory");
  for (size_t at = 0; at < size * depth; at++) memory[at] = at * 31 + (at >> 12);
  uint64_t done = 0, at = 0;
  seed += (uint64_t)now();
  double begun = now(), end = begun + length;
  int ready = depth;
  for (int i = 0; i < depth; i++) events[i].data = i;
  for (;;) {
    for (int i = 0; i < ready; i++) {
      struct iocb *block = next[i] = &blocks[events[i].data];
      uint64_t offset = large ? at : place() % (bytes / size) * size;
      at = (at + size) % bytes;
      memset(block, 0, sizeof *block);
      block->aio_data = events[i].data;
      block->aio_fildes = fd;
      block->aio_lio_opcode = writes ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
      block->aio_buf = (uint64_t)(memory + size * events[i].data);
      block->aio_nbytes = size;
      block->aio_offset = offset;
    }
    if (syscall(SYS_io_submit, context, ready, next) != ready) return fail("io_submit");
    ready = syscall(SYS_io_getevents, context, 1, depth, events, 0);
    for (int i = 0; i < ready; i++)
      if (events[i].res != (int64_t)size) return fail("a block");
    done += ready;
    if (now() >= end) break;
  }
  printf("%.1f\n", done / ((now() - begun) / 1e6));
  return 0;
}

static int gap(const char *device, uint64_t bytes, double length) {
  int fd = open(device, O_RDWR | O_DIRECT);
  void *memory;
  if (fd < 0) return fail(device);
  if (posix_memalign(&memory, 4096, 4096)) return fail("memory");
  memset(memory, 7, 4096);
  double longest = 0, before = now(), end = before + length;
  for (double after; before < end; before = after) {
    if (pwrite(fd, memory, 4096, place() % (bytes / 4096) * 4096) != 4096) return fail("a write");
    after = now();
    if (after - before > longest) longest = after - before;
  }
  printf("%.0f\n", longest);
  return 0;
}

int main(int count, char **words) {
  if (count == 7 && !strcmp(words[1], "rate"))
    return rate(words[2], atoll(words[3]), words[4][0], atoi(words[5]), atof(words[6]) * 1e3);
  if (count == 5 && !strcmp(words[1], "gap")) return gap(words[2], atoll(words[3]), atof(words[4]) * 1e3);
  return fail("see the head of guest-io.c");
}
