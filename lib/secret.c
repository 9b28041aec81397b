// SPDX-License-Identifier: GPL-2.0-or-later
#include "secret.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NAME_MAX_BYTES 64

/* Anywhere in a name. */
static const char *const stems[] = {
	"password", "passwd", "passphrase", "secret", "token", "credential", "apikey", "api_key",
	"authorization", "bearer", "cookie", "sessid",
};

/* At its end. */
static const char *const endings[] = { "pass", "pwd", "key", "creds" };

/* As its last part. */
static const char *const parts[] = { "auth", "pin", "psk", "pw", "sig", "signature", "otp" };

/* What tells where a secret is, or whether to ask for one, is none itself. */
static const char *const harmless_endings[] = {
	"_file", "_path", "_dir", "_stdin", "_prompt",
};
static const char *const harmless_beginnings[] = { "no_", "ask_" };

/* Followed by at least this many characters of a token. */
static const struct {
	const char *prefix;
	unsigned int rest;
} tokens[] = {
	{ "ghp_", 16 }, { "gho_", 16 }, { "ghs_", 16 }, { "ghu_", 16 }, { "github_pat_", 16 },
	{ "glpat-", 16 }, { "xoxb-", 10 }, { "xoxp-", 10 }, { "xoxa-", 10 }, { "hvs.", 16 },
	{ "sk-", 20 }, { "sk_live_", 16 }, { "AIza", 30 }, { "eyJ", 30 }, { "npm_", 30 },
	{ "pypi-", 30 }, { "dckr_pat_", 16 },
};

static const struct secret_option options[] = {
	{ "mysql*", "-p", true, false, "" },
	{ "mariadb*", "-p", true, false, "" },
	{ "sshpass", "-p", true, true, "" },
	{ "curl", "-u", true, true, ":" },
	{ "curl", "-U", true, true, ":" },
	{ "curl", "-b", true, true, "" },
	{ "curl", "-E", true, true, ":" },
	{ "curl", "--user", true, true, ":" },
	{ "curl", "--proxy-user", true, true, ":" },
	{ "curl", "--cert", true, true, ":" },
	{ "http", "-a", true, true, ":" },
	{ "https", "-a", true, true, ":" },
	{ "lftp", "-u", true, true, "," },
	{ "ncftp*", "-p", true, true, "" },
	{ "redis-cli", "-a", true, true, "" },
	{ "ldap*", "-w", true, true, "" },
	{ "smb*", "-U", true, true, "%" },
	{ "rpcclient", "-U", true, true, "%" },
	{ "net", "-U", true, true, "%" },
	{ "winexe", "-U", true, true, "%" },
	{ "mongo*", "-p", true, true, "" },
	{ "sqlcmd", "-P", true, true, "" },
	{ "bcp", "-P", true, true, "" },
	{ "isql", "-P", true, true, "" },
	{ "tsql", "-P", true, true, "" },
	{ "mosquitto*", "-P", true, true, "" },
	{ "7z*", "-p", true, false, "" },
	{ "rar", "-p", true, false, "" },
	{ "unrar", "-p", true, false, "" },
	{ "zip", "-P", true, true, "" },
	{ "unzip", "-P", true, true, "" },
	{ "openssl", "-k", false, true, "" },
	{ "openssl", "-K", false, true, "" },
	{ "ipmitool", "-P", true, true, "" },
	{ "snmp*", "-A", true, true, "" },
	{ "snmp*", "-X", true, true, "" },
	{ "snmp*", "-c", true, true, "" },
	{ "plink", "-pw", false, true, "" },
	{ "pscp", "-pw", false, true, "" },
	{ "rdesktop", "-p", true, true, "" },
	{ "xfreerdp*", "/p:", true, false, "" },
	{ "mysqladmin", "password", false, true, "" },
	{ "mariadb-admin", "password", false, true, "" },
	{ "sqlplus", "", true, false, "/" },	/* user/secret@db */
	{ "ldappasswd", "-s", true, true, "" },
	{ "ldappasswd", "-a", true, true, "" },
	{ "nmcli", "password", false, true, "" },
	{ "nmcli", "wifi-sec.psk", false, true, "" },
	{ "iwconfig", "key", false, true, "" },
	{ "ssh-keygen", "-N", true, true, "" },
	{ "ssh-keygen", "-P", true, true, "" },
	{ "swaks", "-ap", false, true, "" },
	{ "ab", "-A", true, true, ":" },
	{ "useradd", "-p", true, true, "" },
	{ "usermod", "-p", true, true, "" },
	/* Elsewhere -p publishes a port. */
	{ "login", "-p", true, true, "" },
	{ "*", "-u", false, true, ":" },
	{ "*", "--user", false, true, ":" },
};

static_assert(COUNT(options) <= 64, "one bit for each");

static bool ends_with(const char *name, size_t len, const char *ending)
{
	size_t n = strlen(ending);

	return len >= n && memcmp(name + len - n, ending, n) == 0;
}

/* Lower case, words parted by '_': api-key, api.key, apiKey -> api_key. Of a very long name the
 * end counts. */
static size_t normalise(char out[static NAME_MAX_BYTES], const char *name, size_t len)
{
	size_t n = 0;

	if (len > NAME_MAX_BYTES / 2) {
		name += len - NAME_MAX_BYTES / 2;
		len = NAME_MAX_BYTES / 2;
	}
	for (size_t i = 0; i < len; i++) {
		unsigned char c = name[i];

		if (i && isupper(c) && islower((unsigned char)name[i - 1]))
			out[n++] = '_';
		out[n++] = c == '-' || c == '.' ? '_' : tolower(c);
	}
	return n;
}

bool secret_name(const char *name, size_t len)
{
	char text[NAME_MAX_BYTES];
	size_t n = normalise(text, name, len), i;

	for (i = 0; i < COUNT(harmless_endings); i++) {
		if (ends_with(text, n, harmless_endings[i]))
			return false;
	}
	for (i = 0; i < COUNT(harmless_beginnings); i++) {
		if (n > strlen(harmless_beginnings[i]) &&
		    memcmp(text, harmless_beginnings[i], strlen(harmless_beginnings[i])) == 0)
			return false;
	}
	for (i = 0; i < COUNT(stems); i++) {
		if (memmem(text, n, stems[i], strlen(stems[i])))
			return true;
	}
	for (i = 0; i < COUNT(endings); i++) {
		if (ends_with(text, n, endings[i]))
			return true;
	}
	for (i = 0; i < COUNT(parts); i++) {
		size_t part = strlen(parts[i]);

		if (ends_with(text, n, parts[i]) && (n == part || text[n - part - 1] == '_'))
			return true;
	}
	return false;
}

bool secret_scheme(const char *word, size_t len)
{
	static const char *const schemes[] = { "basic", "bearer", "token", "digest", "negotiate" };

	while (len && (*word == '"' || *word == '\'')) {
		word++;
		len--;
	}
	for (size_t i = 0; i < COUNT(schemes); i++) {
		if (len == strlen(schemes[i]) && strncasecmp(word, schemes[i], len) == 0)
			return true;
	}
	return false;
}

size_t secret_token(const char *at, size_t len)
{
	for (size_t i = 0; i < COUNT(tokens); i++) {
		size_t n = strlen(tokens[i].prefix), end = n;

		if (len < n + tokens[i].rest || memcmp(at, tokens[i].prefix, n) != 0)
			continue;
		while (end < len && (isalnum((unsigned char)at[end]) || strchr("_-.", at[end])))
			end++;
		if (end >= n + tokens[i].rest)
			return end;
	}
	return 0;
}

static bool is_program(const char *pattern, const char *name, size_t len)
{
	size_t n = strlen(pattern);

	if (pattern[n - 1] == '*')
		return len >= n - 1 && memcmp(name, pattern, n - 1) == 0;
	return len == n && memcmp(name, pattern, n) == 0;
}

void secret_context_add(struct secret_context *context, const char *word, size_t len)
{
	const char *slash;

	while (len && strchr("\"'(`$;|&", *word)) {
		word++;
		len--;
	}
	if (!len || *word == '-')
		return;
	slash = memrchr(word, '/', len);
	if (slash) {
		len -= slash + 1 - word;
		word = slash + 1;
	}
	for (size_t i = 0; i < COUNT(options); i++) {
		if (is_program(options[i].program, word, len))
			context->programs |= 1ULL << i;
	}
	if ((len == 3 && memcmp(word, "set", 3) == 0) ||
	    (len == 6 && memcmp(word, "config", 6) == 0))
		context->setting = true;
}

const struct secret_option *secret_option(const struct secret_context *context, unsigned int *row)
{
	while (*row < COUNT(options)) {
		if (context->programs & 1ULL << (*row)++)
			return &options[*row - 1];
	}
	return NULL;
}

bool secret_option_alone(const struct secret_option *o, const char *word, size_t len)
{
	size_t n = strlen(o->option);

	if (len == n && memcmp(word, o->option, n) == 0)
		return true;
	if (n != 2 || len < 3 || len > 8 || word[0] != '-' || word[len - 1] != o->option[1])
		return false;
	for (size_t i = 1; i < len; i++) {
		if (!isalpha((unsigned char)word[i]))
			return false;
	}
	return true;
}
