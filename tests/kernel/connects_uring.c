// SPDX-License-Identifier: GPL-2.0-or-later
#include "connects.h"

#include <errno.h>
#include <liburing.h>

static int connect_by_ring(unsigned int flags)
{
	struct truth_row *row = row_next();
	struct io_uring_cqe *done;
	struct io_uring_sqe *request;
	struct io_uring ring;
	int fd = tcp_socket(0), error = -io_uring_queue_init(2, &ring, 0);

	if (error)
		return error == ENOSYS || error == EPERM ? 77 : error;
	request = io_uring_get_sqe(&ring);
	io_uring_prep_connect(request, fd, (struct sockaddr *)&served.address, served.len);
	request->flags |= flags;
	attempt_begin(row);
	if (io_uring_submit_and_wait(&ring, 1) < 0 || io_uring_peek_cqe(&ring, &done))
		return EIO;
	error = done->res < 0 ? -done->res : 0;
	attempt_noted(row, fd, &served, error);
	io_uring_queue_exit(&ring);
	return error;
}

int uring(void)
{
	return connect_by_ring(0);
}

int uring_worker(void)
{
	return connect_by_ring(IOSQE_ASYNC);
}
