/* What cron, atd, su and login ask of PAM before they run something as a user: pam_acct_mgmt(3), then pam_open_session(3).
   serve SERVICE USER ends with 0 where both are granted; with a third argument only the second is asked for, as by runuser. The few declarations needed are those of pam_appl.h, which the machine may lack. */
#include <stddef.h>

struct pam_conv {
    int (*conv)(int, const void **, void **, void *);
    void *data;
};

int pam_start(const char *service, const char *user, const struct pam_conv *conv, void **handle);
int pam_acct_mgmt(void *handle, int flags);
int pam_open_session(void *handle, int flags);
int pam_close_session(void *handle, int flags);
int pam_end(void *handle, int status);

static int silent(int count, const void **messages, void **answers, void *data)
{
    (void)count, (void)messages, (void)answers, (void)data;
    return 19; /* PAM_CONV_ERR */
}

int main(int argc, char **argv)
{
    struct pam_conv conv = { silent, NULL };
    void *handle;
    int status;

    if (argc < 3 || pam_start(argv[1], argv[2], &conv, &handle) != 0)
        return 2;
    status = argc > 3 ? 0 : pam_acct_mgmt(handle, 0);
    if (status == 0) {
        status = pam_open_session(handle, 0);
        pam_close_session(handle, 0);
    }
    pam_end(handle, status);
    return status != 0;
}
