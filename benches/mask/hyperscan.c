/* The fastest matcher of many literals, on the same forms and the same log: finding only. Reads forms from FORMS
 * (each a 32-bit length and its bytes, cut at 64), compiles them, scans LOG in blocks of 256 KiB from the page cache,
 * and prints compile and scan time in seconds. `sequences` are not tolerated, nothing is replaced. */
#include <fcntl.h>
#include <hs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static int hit(unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *count) {
  (void)id, (void)from, (void)to, (void)flags;
  ++*(unsigned long *)count;
  return 0;
}

int main(int argc, char **argv) {
  if (argc != 3) return 64;
  FILE *file = fopen(argv[1], "rb");
  if (!file) return 66;
  size_t room = 1 << 20, count = 0;
  char **forms = malloc(room * sizeof *forms);
  size_t *lengths = malloc(room * sizeof *lengths);
  unsigned *flags = calloc(room, sizeof *flags), *ids = malloc(room * sizeof *ids);
  uint32_t length;
  while (count < room && fread(&length, 4, 1, file) == 1) {
    forms[count] = malloc(length + 1);
    if (fread(forms[count], 1, length, file) != length) return 66;
    lengths[count] = length;
    ids[count] = count;
    count++;
  }
  hs_database_t *database;
  hs_compile_error_t *error;
  double start = now();
  if (hs_compile_lit_multi((const char *const *)forms, flags, ids, lengths, count, HS_MODE_STREAM, NULL, &database,
                           &error) != HS_SUCCESS) {
    fprintf(stderr, "%s\n", error->message);
    return 70;
  }
  double compiled = now() - start;
  hs_scratch_t *scratch = NULL;
  hs_stream_t *stream;
  if (hs_alloc_scratch(database, &scratch) != HS_SUCCESS || hs_open_stream(database, 0, &stream) != HS_SUCCESS) return 70;
  int log = open(argv[2], O_RDONLY);
  static char block[256 * 1024];
  unsigned long hits = 0;
  ssize_t read_now;
  start = now();
  while ((read_now = read(log, block, sizeof block)) > 0)
    if (hs_scan_stream(stream, block, read_now, 0, scratch, hit, &hits) != HS_SUCCESS) return 70;
  printf("%.6f %.6f %zu %lu\n", compiled, now() - start, count, hits);
  return 0;
}
