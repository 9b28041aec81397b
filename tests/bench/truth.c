// SPDX-License-Identifier: GPL-2.0-or-later
#include "truth.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <unistd.h>

#define HEAD_BYTES 4096

int truth_new(struct truth *truth, uint64_t rows_max)
{
	size_t size = HEAD_BYTES + rows_max * sizeof(struct truth_row);
	uint8_t *memory;

	truth->fd = memfd_create("truth", 0);
	if (truth->fd < 0)
		return -errno;
	if (ftruncate(truth->fd, size) < 0)
		return -errno;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, truth->fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	truth->rows_max = rows_max;
	truth->taken = (uint64_t *)memory;
	truth->rows = (struct truth_row *)(memory + HEAD_BYTES);
	return 0;
}

int64_t truth_take(struct truth *truth)
{
	uint64_t number = __atomic_fetch_add(truth->taken, 1, __ATOMIC_RELAXED);

	return number < truth->rows_max ? (int64_t)number : -1;
}

int truth_write(int fd, int64_t number, const struct truth_row *row)
{
	ssize_t n = pwrite(fd, row, sizeof(*row), HEAD_BYTES + number * sizeof(*row));

	if (n < 0)
		return -errno;
	return n == sizeof(*row) ? 0 : -EIO;
}

static void print_row(const struct truth_row *row, int64_t number, const struct truth_names *names,
		      FILE *to)
{
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];

	inet_ntop(row->family, row->src, src, sizeof(src));
	inet_ntop(row->family, row->dst, dst, sizeof(dst));
	fprintf(to, "%" PRIu32 "\t%" PRIu32 "\t%" PRIu32 "\t%" PRId32 "\t%s\t%u\t%s\t%u\t",
		row->pid, row->ppid, row->uid, row->error, src, ntohs(row->sport), dst,
		ntohs(row->dport));
	fprintf(to, "%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t", row->start_ns,
		row->start_real_ns, row->latency_ns, row->close_ns);
	fprintf(to, "%s\t", names->executable);
	if (names->arguments)
		fprintf(to, "%s %" PRId64 " %s %s", names->executable, number, names->arguments,
			names->destinations[number % names->destination_count]);
	else
		fputs(names->command_line, to);
	fprintf(to, "\t%s\n", names->parent_executable);
}

int truth_print(const struct truth *truth, const struct truth_names *names, FILE *to)
{
	fputs("pid\tppid\tuid\terrno\tsource\tsource_port\tdestination\tdestination_port\t"
	      "start_ns\tstart_real_ns\tlatency_ns\tclose_ns\texecutable\tcommand_line\t"
	      "parent_executable\n", to);
	for (uint64_t i = 0; i < truth->rows_max && i < *truth->taken; i++)
		if (truth->rows[i].state == TRUTH_DONE)
			print_row(&truth->rows[i], i, names, to);
	return fflush(to) ? -errno : 0;
}
