// SPDX-License-Identifier: GPL-2.0-or-later
#include "redact.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define ARGS_MAX 12

/* Each secret contains S3CR, so that none may be seen afterwards. */
static const char *const with_secrets[][ARGS_MAX] = {
	{ "app", "--password", "S3CRET" }, { "app", "--password=S3CRET" },
	{ "app", "-password", "S3CRET" }, { "app", "--db-password", "-S3CRET" },
	{ "app", "--token=S3CRET" }, { "app", "--api-key", "S3CRET" }, { "app", "--apiKey=S3CRET" },
	{ "app", "--client_secret", "S3CRET" }, { "app", "--credentials", "S3CR ET" },
	{ "app", "--password", "--token", "S3CRET" }, { "app", "--PASSWORD=a=S3CRET" },
	{ "java", "-Dspring.datasource.password=S3CRET,S3CRET2;x" },
	{ "java", "-Djavax.net.ssl.keyStorePassword=S3CRET" },
	{ "env", "PGPASSWORD=S3CRET", "psql" }, { "env", "MYSQL_PWD=S3CRET", "mysql" },
	{ "AWS_SECRET_ACCESS_KEY=S3CRET/x+y=", "aws" },
	{ "aws", "configure", "set", "aws_secret_access_key", "S3CRET" },
	{ "mysql", "-u", "root", "-pS3CRET" }, { "/usr/bin/mysqldump", "-pS3CRET", "db" },
	{ "sudo", "mariadb", "-pS3CRET" }, { "sshpass", "-p", "S3CRET", "ssh", "h" },
	{ "sshpass", "-pS3CRET", "ssh", "h" },
	{ "curl", "-u", "me:S3CRET", "http://h" }, { "curl", "-ume:S3CRET" },
	{ "curl", "-sSu", "me:S3CRET" }, { "curl", "--user", "me:S3CR:ET" },
	{ "curl", "--proxy-user", "me:S3CRET" }, { "curl", "-b", "sid=S3CRET" },
	{ "curl", "-H", "Authorization: Bearer S3CRET" }, { "curl", "-H", "X-Api-Key: S3CRET" },
	{ "curl", "-H", "authorization:Basic S3CRET==" }, { "curl", "-HCookie: a=S3CRET; b=S3CR" },
	{ "curl", "--header=X-Auth-Token: S3CRET" }, { "curl", "--oauth2-bearer", "S3CRET" },
	{ "curl", "-d", "user=a&password=S3CRET&x=y" }, { "curl", "-d", "{\"password\":\"S3CR ET\"}" },
	{ "curl", "-d", "{ \"token\" : \"S3CRET\", \"a\": 1 }" },
	{ "curl", "http://h/?access_token=S3CRET&a=b" },
	{ "wget", "https://me:S3CRET@h/path" }, { "git", "clone", "https://S3CRETtoken@h/r.git" },
	{ "app", "postgres://u:S3CR@ET@h:5432/db" }, { "app", "amqp://u:S3CR/ET@h/" },
	{ "app", "--dsn", "u:S3CRET@tcp(h:3306)/db" }, { "app", "redis://:S3CRET@h:6379" },
	{ "redis-cli", "-a", "S3CRET" }, { "ldapsearch", "-D", "cn=x", "-w", "S3CRET" },
	{ "smbclient", "-U", "me%S3CRET", "//h/s" }, { "docker", "login", "-p", "S3CRET" },
	{ "mount", "-o", "username=a,password=S3CRET,uid=0" }, { "openssl", "-passin", "pass:S3CRET" },
	{ "zip", "-P", "S3CRET", "a.zip" }, { "7z", "a", "-pS3CRET", "x" },
	{ "xfreerdp", "/u:me", "/p:S3CRET", "/v:h" }, { "lftp", "-u", "me,S3CRET", "h" },
	{ "plink", "-pw", "S3CRET", "h" }, { "ipmitool", "-U", "a", "-P", "S3CRET" },
	{ "app", "ghp_S3CRETS3CRETS3CRET" }, { "app", "x", "eyJS3CRETS3CRETS3CRETS3CRETS3CRETxx.y.z" },
	{ "sh", "-c", "mysql -u root -pS3CRET db" }, { "sh", "-c", "curl -u a:S3CRET http://h | sh" },
	{ "sh", "-c", "curl -H 'Authorization: Bearer S3CRET' h" },
	{ "sh", "-c", "curl -H \"Authorization: Bearer S3CRET\" h; true" },
	{ "bash", "-c", "export TOKEN='S3CR ET'; run" }, { "bash", "-c", "TOKEN=S3CRET run --x" },
	{ "sh", "-c", "app --password \"two S3CRET\" x" },
	{ "sh", "-c", "bash -c 'mysql -pS3CRET'" }, { "su", "-c", "PASSWORD=S3CRET\texec app" },
	{ "python3", "-c", "connect(host='h', password='S3CRET')" },
	{ "mysqld: -pS3CRET --password=S3CRET" },
	{ "helm", "--set", "a.b=1,auth.password=S3CRET" }, { "app", "--auth", "me:S3CRET" },
	{ "app", "--secret-id", "S3CRET" }, { "app", "password=S3CRET" }, { "app", "password:S3CRET" },
	{ "curl", "-d", "<login><password>S3CR ET</password><a>b</a></login>" },
	{ "mysqladmin", "-u", "root", "password", "S3CRET" }, { "sqlplus", "-s", "me/S3CRET@db" },
	{ "nmcli", "dev", "wifi", "connect", "x", "password", "S3CRET" },
	{ "ssh-keygen", "-t", "rsa", "-N", "S3CRET" }, { "keytool", "-storepass", "S3CRET" },
	{ "es-tool", "-u", "elastic:S3CRET", "http://h" }, { "app", "--basic-auth", "a:S3CRET" },
	{ "kubectl", "create", "secret", "generic", "x", "--from-literal=password=S3CRET" },
	{ "psql", "host=h password=S3CRET user=u" }, { "app", "AccountKey=S3CRET==;x=y" },
	{ "docker", "run", "-e", "MYSQL_ROOT_PASSWORD=S3CRET", "mysql" },
	{ "curl", "--proxy", "u:S3CRET@h:3128" }, { "app", "mongodb+srv://u:S3CRET@h/db" },
	{ "curl", "-H", "PRIVATE-TOKEN: S3CRET" }, { "gpg", "--passphrase", "S3CRET" },
	{ "curl", "-u", "me:correct S3CR battery", "h" }, { "smbclient", "-U", "u%my S3CRET", "//h/s" },
	{ "mysql", "-pcorrect S3CRET", "db" }, { "curl", "--user=me:a S3CRET" },
	{ "xfreerdp", "/u:me", "/p:my S3CRET" }, { "lftp", "-u", "me,my S3CRET", "h" },
	{ "curl", "-d", "{\"password\":\"ab\\\"S3CRET\"}" },
	{ "app", "http://a:b/c", "x://y:z/ http://u:p/S3CR@h" },
	{ "curl", "https://h/x?X-Amz-Signature=S3CRET" }, { "terraform", "-var", "db_pass=S3CRET" },
};

static const char *const without[][ARGS_MAX] = {
	{ "curl", "-sS", "https://example.org/a?b=c#d" }, { "ssh", "-p", "22", "git@example.org" },
	{ "git", "clone", "git@example.org:me/repo.git" }, { "rsync", "a", "ssh://me@example.org/x" },
	{ "docker", "run", "-p", "80:80", "nginx:1.25@sha256:0123456789abcdef" },
	{ "mysql", "-h", "db", "-P", "3306", "-u", "root" }, { "mysql", "-p" },
	{ "app", "--password-file", "/run/pw" }, { "ansible", "--ask-pass", "all" },
	{ "nc", "198.51.100.1", "8080" }, { "ping6", "2001:db8::1" }, { "a", "", "b" },
	{ "sh", "-c", "echo  hello   \"world\" > /dev/null" },
	{ "cat", "secret.txt", "other" }, { "vi", "token.json" }, { "curl", "http://h:8080/@user" },
	{ "sqlmap", "-u", "http://example.org/?id=1" }, { "sudo", "-u", "www-data", "id" },
	{ "sh", "-c", "a > b; c < d" }, { "ls", "<x>y</x>" },
};

static size_t join(char *out, const char *const *args)
{
	size_t len = 0;

	for (unsigned int i = 0; i < ARGS_MAX && args[i]; i++) {
		memcpy(out + len, args[i], strlen(args[i]) + 1);
		len += strlen(args[i]) + 1;
	}
	return len;
}

static void no_secret_of_the_table_is_seen(void **state)
{
	char args[1024], out[2048];
	unsigned int seen = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(with_secrets) / sizeof(with_secrets[0]); i++) {
		size_t len = join(args, with_secrets[i]);

		redact(out, sizeof(out), args, len);
		if (strstr(out, "S3CR") || !strstr(out, REDACT_MARK)) {
			print_error("%s\n", out);
			seen++;
		}
		redact_nothing(out, sizeof(out), args, len);
		assert_non_null(strstr(out, "S3CR"));
	}
	assert_int_equal(seen, 0);
}

static void what_holds_no_secret_stays_as_it_is(void **state)
{
	char args[1024], out[2048], plain[2048];

	(void)state;
	for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++) {
		size_t len = join(args, without[i]);

		redact(out, sizeof(out), args, len);
		redact_nothing(plain, sizeof(plain), args, len);
		assert_string_equal(out, plain);
	}
}

static void what_surrounds_a_secret_stays(void **state)
{
	static const struct { const char *args; size_t len; const char *shown; } cases[] = {
#define CASE(args, shown) { args, sizeof(args), shown }
		CASE("curl\0-u\0me:x\0http://h/", "curl -u me:[redacted] http://h/"),
		CASE("a\0https://u:p@h:1/x?y", "a https://[redacted]@h:1/x?y"),
		CASE("sh\0-c\0mysql -px db | less", "sh -c mysql -p[redacted] db | less"),
		CASE("a\0-d\0x=1&token=2&y=3", "a -d x=1&token=[redacted]&y=3"),
		CASE("a\0{\"key\":\"v\",\"b\":2}", "a {\"key\":\"[redacted]\",\"b\":2}"),
#undef CASE
	};
	char out[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		redact(out, sizeof(out), cases[i].args, cases[i].len);
		assert_string_equal(out, cases[i].shown);
	}
}

static void any_bytes_and_any_room_are_survived(void **state)
{
	static char args[1 << 21];
	char out[4096];

	(void)state;
	for (size_t i = 0; i < sizeof(args); i++)
		args[i] = i * 2654435761u >> 13;
	for (size_t size = 1; size < 64; size++)
		assert_true(redact(out, size, args, 4096) < size);
	assert_true(redact(out, sizeof(out), args, sizeof(args)) < sizeof(out));
	memset(args, ':', sizeof(args));
	assert_true(redact(out, sizeof(out), args, 16384) < sizeof(out));
	assert_int_equal(redact(out, sizeof(out), "", 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_secret_of_the_table_is_seen),
		cmocka_unit_test(what_holds_no_secret_stays_as_it_is),
		cmocka_unit_test(what_surrounds_a_secret_stays),
		cmocka_unit_test(any_bytes_and_any_room_are_survived),
	};

	return cmocka_run_group_tests_name("redact", tests, NULL, NULL);
}
