// SPDX-License-Identifier: GPL-2.0-or-later
#include "check.h"

#include "capability.h"
#include "confine.h"
#include "log.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void check_rights(struct checklist *c)
{
	const char *name, *loss;
	uint64_t have = 0, any;
	bool less = false;
	int err = capability_get(&have);

	if (err) {
		checklist_say(c, VERDICT_NOT, "privileges", "cannot be asked for: %s",
			      strerror(-err));
		return;
	}
	if (!(have & CAPABILITY(CAP_NET_ADMIN))) {
		checklist_say(c, VERDICT_NOT, "privileges", "no CAP_NET_ADMIN: run as root");
		return;
	}
	for (unsigned int i = 0; (loss = confine_loss(i, &name, &any)); i++) {
		if (have & any)
			continue;
		checklist_say(c, VERDICT_LESS, "privileges", "no %s: %s", name, loss);
		less = true;
	}
	if (!less)
		checklist_say(c, VERDICT_WORKS, "privileges", "all that are needed");
}

enum { REFUSED = 1, READ_ONLY = 2, FILTERED = 4 };

/* What it says on the way is for a `run`. */
static int confine_child(const struct options *options)
{
	struct confine confine;

	log_set_level(LEVEL_ERROR);
	if (confine_enter(&confine, options) ||
	    confine_finish(&confine, options, options->trace != CHOICE_OFF, -1))
		return REFUSED;
	return (confine.read_only ? READ_ONLY : 0) | (confine.filtered ? FILTERED : 0);
}

/* In a child, because there is no way back. */
void check_confinement(struct checklist *c, const struct options *options)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(confine_child(options));
	if (child < 0 || waitpid(child, &status, 0) < 0) {
		checklist_say(c, VERDICT_LESS, "confinement", "not tried: %s", strerror(errno));
		return;
	}
	status = WIFEXITED(status) ? WEXITSTATUS(status) : REFUSED;
	if (status & REFUSED)
		checklist_say(c, VERDICT_NOT, "confinement", "refused: see above");
	else if (!(status & FILTERED))
		checklist_say(c, VERDICT_LESS, "confinement", "this kernel does not filter system "
			      "calls (seccomp)");
	else if (!(status & READ_ONLY))
		checklist_say(c, VERDICT_LESS, "confinement", "few capabilities, system calls "
			      "filtered; but files stay writable (CAP_SYS_ADMIN, Linux 5.12): "
			      "nfwho.service has systemd see to that");
	else
		checklist_say(c, VERDICT_WORKS, "confinement", "few capabilities, system calls "
			      "filtered, files read-only but for the outputs' directories");
}
