# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_jailctl_global_optspecs
    string join \n q/quiet v/verbose h/help V/version
end

function __fish_jailctl_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_jailctl_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_jailctl_using_subcommand
    set -l cmd (__fish_jailctl_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c jailctl -n "__fish_jailctl_needs_command" -s q -l quiet -d 'Do not print notices'
complete -c jailctl -n "__fish_jailctl_needs_command" -s v -l verbose -d 'Print each step as it is executed, and every path of a plan'
complete -c jailctl -n "__fish_jailctl_needs_command" -s h -l help -d 'Print help'
complete -c jailctl -n "__fish_jailctl_needs_command" -s V -l version -d 'Print version'
complete -c jailctl -n "__fish_jailctl_needs_command" -f -a "init" -d 'Write a starter spec'
complete -c jailctl -n "__fish_jailctl_needs_command" -f -a "build" -d 'Build or change jails so that they match their specs'
complete -c jailctl -n "__fish_jailctl_needs_command" -f -a "plan" -d 'Show what build would change'
complete -c jailctl -n "__fish_jailctl_needs_command" -f -a "validate" -d 'Check specs without root and without a host, for example in CI'
complete -c jailctl -n "__fish_jailctl_needs_command" -f -a "check" -d 'Show what has changed on the host since jails were built'
complete -c jailctl -n "__fish_jailctl_needs_command" -f -a "update" -d 'Rebuild jails from their recorded specs, for example after a host upgrade'
complete -c jailctl -n "__fish_jailctl_needs_command" -f -a "rollback" -d 'Restore the state of a jail before the last build that changed it'
complete -c jailctl -n "__fish_jailctl_needs_command" -f -a "list" -d 'List the jails of this host'
complete -c jailctl -n "__fish_jailctl_needs_command" -f -a "show" -d 'Show the details of a jail'
complete -c jailctl -n "__fish_jailctl_needs_command" -f -a "who" -d 'List the users who are in jails: since when, and from where'
complete -c jailctl -n "__fish_jailctl_needs_command" -f -a "why" -d 'Explain why files are in a jail'
complete -c jailctl -n "__fish_jailctl_needs_command" -f -a "doctor" -d 'Diagnose why a user of a jail cannot log in, or whether the host can have jails'
complete -c jailctl -n "__fish_jailctl_needs_command" -f -a "remove" -d 'Remove a jail'
complete -c jailctl -n "__fish_jailctl_needs_command" -f -a "move" -d 'Move the root of a jail on its file system, with homes, ids and keys'
complete -c jailctl -n "__fish_jailctl_needs_command" -f -a "purge" -d 'Delete what remove without --purge has left of a jail'
complete -c jailctl -n "__fish_jailctl_needs_command" -f -a "lock" -d 'Close the account of a user at once, until it is unlocked'
complete -c jailctl -n "__fish_jailctl_needs_command" -f -a "unlock" -d 'Open the account of a locked user again'
complete -c jailctl -n "__fish_jailctl_needs_command" -f -a "deps" -d 'List what programs need to run: libraries, interpreters and symbolic links'
complete -c jailctl -n "__fish_jailctl_needs_command" -f -a "enter" -d 'Run a program in a jail as one of its users'
complete -c jailctl -n "__fish_jailctl_needs_command" -f -a "stats" -d 'Show resource usage of the sessions of jails'
complete -c jailctl -n "__fish_jailctl_needs_command" -f -a "freeze" -d 'Suspend all processes in the sessions of a jail'
complete -c jailctl -n "__fish_jailctl_needs_command" -f -a "thaw" -d 'Resume a frozen jail'
complete -c jailctl -n "__fish_jailctl_needs_command" -f -a "kill" -d 'Terminate the sessions of a jail'
complete -c jailctl -n "__fish_jailctl_needs_command" -f -a "schema" -d 'Print the JSON Schema of specs, for editors'
complete -c jailctl -n "__fish_jailctl_needs_command" -f -a "completions" -d 'Print a completion script for a shell'
complete -c jailctl -n "__fish_jailctl_needs_command" -f -a "man" -d 'Print a manual page'
complete -c jailctl -n "__fish_jailctl_using_subcommand init" -s t -l template -d 'Template to use; can be repeated [default: shell]' -r
complete -c jailctl -n "__fish_jailctl_using_subcommand init" -s o -l output -d 'File to write; `-` is standard output. Existing files are never overwritten [default: NAME.toml]' -r -F
complete -c jailctl -n "__fish_jailctl_using_subcommand init" -s q -l quiet -d 'Do not print notices'
complete -c jailctl -n "__fish_jailctl_using_subcommand init" -s v -l verbose -d 'Print each step as it is executed, and every path of a plan'
complete -c jailctl -n "__fish_jailctl_using_subcommand init" -s h -l help -d 'Print help'
complete -c jailctl -n "__fish_jailctl_using_subcommand init" -s V -l version -d 'Print version'
complete -c jailctl -n "__fish_jailctl_using_subcommand build" -l root -d 'Use the directory DIR as the host: its programs, accounts, sshd configuration and records' -r -F
complete -c jailctl -n "__fish_jailctl_using_subcommand build" -l output -d 'Write only the tree, to DIR, which must be new or empty: no accounts, no sshd, no records' -r -F
complete -c jailctl -n "__fish_jailctl_using_subcommand build" -l lock-timeout -d 'Wait up to SECONDS for another jailctl to finish' -r
complete -c jailctl -n "__fish_jailctl_using_subcommand build" -l all -d 'All specs in /etc/jailctl/jails.d'
complete -c jailctl -n "__fish_jailctl_using_subcommand build" -l from-here -d 'Accept SPEC in place of another file that its jail was built from'
complete -c jailctl -n "__fish_jailctl_using_subcommand build" -l recreate -d 'Create a jail again whose root is gone, with empty homes'
complete -c jailctl -n "__fish_jailctl_using_subcommand build" -s n -l dry-run -d 'Show what would be changed, and change nothing'
complete -c jailctl -n "__fish_jailctl_using_subcommand build" -l json -d 'Print one JSON object'
complete -c jailctl -n "__fish_jailctl_using_subcommand build" -l no-reload -d 'Do not reload sshd'
complete -c jailctl -n "__fish_jailctl_using_subcommand build" -s q -l quiet -d 'Do not print notices'
complete -c jailctl -n "__fish_jailctl_using_subcommand build" -s v -l verbose -d 'Print each step as it is executed, and every path of a plan'
complete -c jailctl -n "__fish_jailctl_using_subcommand build" -s h -l help -d 'Print help'
complete -c jailctl -n "__fish_jailctl_using_subcommand build" -s V -l version -d 'Print version'
complete -c jailctl -n "__fish_jailctl_using_subcommand plan" -l root -d 'Use the directory DIR as the host: its programs, accounts, sshd configuration and records' -r -F
complete -c jailctl -n "__fish_jailctl_using_subcommand plan" -l all -d 'All specs in /etc/jailctl/jails.d'
complete -c jailctl -n "__fish_jailctl_using_subcommand plan" -l json -d 'Print one JSON object'
complete -c jailctl -n "__fish_jailctl_using_subcommand plan" -l exit-code -d 'Exit with 1 if there are changes, and with 0 if there are none'
complete -c jailctl -n "__fish_jailctl_using_subcommand plan" -l from-here -d 'Accept SPEC in place of another file that its jail was built from'
complete -c jailctl -n "__fish_jailctl_using_subcommand plan" -l recreate -d 'Create a jail again whose root is gone, with empty homes'
complete -c jailctl -n "__fish_jailctl_using_subcommand plan" -s q -l quiet -d 'Do not print notices'
complete -c jailctl -n "__fish_jailctl_using_subcommand plan" -s v -l verbose -d 'Print each step as it is executed, and every path of a plan'
complete -c jailctl -n "__fish_jailctl_using_subcommand plan" -s h -l help -d 'Print help'
complete -c jailctl -n "__fish_jailctl_using_subcommand plan" -s V -l version -d 'Print version'
complete -c jailctl -n "__fish_jailctl_using_subcommand validate" -l root -d 'Use the directory DIR as the host: its programs, accounts, sshd configuration and records' -r -F
complete -c jailctl -n "__fish_jailctl_using_subcommand validate" -l json -d 'Print one JSON object'
complete -c jailctl -n "__fish_jailctl_using_subcommand validate" -s q -l quiet -d 'Do not print notices'
complete -c jailctl -n "__fish_jailctl_using_subcommand validate" -s v -l verbose -d 'Print each step as it is executed, and every path of a plan'
complete -c jailctl -n "__fish_jailctl_using_subcommand validate" -s h -l help -d 'Print help'
complete -c jailctl -n "__fish_jailctl_using_subcommand validate" -s V -l version -d 'Print version'
complete -c jailctl -n "__fish_jailctl_using_subcommand check" -l root -d 'Use the directory DIR as the host: its programs, accounts, sshd configuration and records' -r -F
complete -c jailctl -n "__fish_jailctl_using_subcommand check" -l all -d 'All jails, and all specs in /etc/jailctl/jails.d'
complete -c jailctl -n "__fish_jailctl_using_subcommand check" -l deep -d 'Compare the content of all files, not only their metadata'
complete -c jailctl -n "__fish_jailctl_using_subcommand check" -l json -d 'Print one JSON object'
complete -c jailctl -n "__fish_jailctl_using_subcommand check" -s q -l quiet -d 'Do not print notices'
complete -c jailctl -n "__fish_jailctl_using_subcommand check" -s v -l verbose -d 'Print each step as it is executed, and every path of a plan'
complete -c jailctl -n "__fish_jailctl_using_subcommand check" -s h -l help -d 'Print help'
complete -c jailctl -n "__fish_jailctl_using_subcommand check" -s V -l version -d 'Print version'
complete -c jailctl -n "__fish_jailctl_using_subcommand update" -l packages -d 'Only jails that contain a file of one of these packages, separated by commas' -r
complete -c jailctl -n "__fish_jailctl_using_subcommand update" -l root -d 'Use the directory DIR as the host: its programs, accounts, sshd configuration and records' -r -F
complete -c jailctl -n "__fish_jailctl_using_subcommand update" -l lock-timeout -d 'Wait up to SECONDS for another jailctl to finish' -r
complete -c jailctl -n "__fish_jailctl_using_subcommand update" -l all -d 'All jails of the host'
complete -c jailctl -n "__fish_jailctl_using_subcommand update" -l recreate -d 'Create jails again whose root is gone, with empty homes'
complete -c jailctl -n "__fish_jailctl_using_subcommand update" -s n -l dry-run -d 'Show what would be changed, and change nothing'
complete -c jailctl -n "__fish_jailctl_using_subcommand update" -l json -d 'Print one JSON object'
complete -c jailctl -n "__fish_jailctl_using_subcommand update" -l no-reload -d 'Do not reload sshd'
complete -c jailctl -n "__fish_jailctl_using_subcommand update" -s q -l quiet -d 'Do not print notices'
complete -c jailctl -n "__fish_jailctl_using_subcommand update" -s v -l verbose -d 'Print each step as it is executed, and every path of a plan'
complete -c jailctl -n "__fish_jailctl_using_subcommand update" -s h -l help -d 'Print help'
complete -c jailctl -n "__fish_jailctl_using_subcommand update" -s V -l version -d 'Print version'
complete -c jailctl -n "__fish_jailctl_using_subcommand rollback" -l root -d 'Use the directory DIR as the host: its programs, accounts, sshd configuration and records' -r -F
complete -c jailctl -n "__fish_jailctl_using_subcommand rollback" -l lock-timeout -d 'Wait up to SECONDS for another jailctl to finish' -r
complete -c jailctl -n "__fish_jailctl_using_subcommand rollback" -s n -l dry-run -d 'Show what would be changed, and change nothing'
complete -c jailctl -n "__fish_jailctl_using_subcommand rollback" -l json -d 'Print one JSON object'
complete -c jailctl -n "__fish_jailctl_using_subcommand rollback" -l no-reload -d 'Do not reload sshd'
complete -c jailctl -n "__fish_jailctl_using_subcommand rollback" -s q -l quiet -d 'Do not print notices'
complete -c jailctl -n "__fish_jailctl_using_subcommand rollback" -s v -l verbose -d 'Print each step as it is executed, and every path of a plan'
complete -c jailctl -n "__fish_jailctl_using_subcommand rollback" -s h -l help -d 'Print help'
complete -c jailctl -n "__fish_jailctl_using_subcommand rollback" -s V -l version -d 'Print version'
complete -c jailctl -n "__fish_jailctl_using_subcommand list" -l root -d 'Use the directory DIR as the host: its programs, accounts, sshd configuration and records' -r -F
complete -c jailctl -n "__fish_jailctl_using_subcommand list" -l json -d 'Print one JSON object'
complete -c jailctl -n "__fish_jailctl_using_subcommand list" -s q -l quiet -d 'Do not print notices'
complete -c jailctl -n "__fish_jailctl_using_subcommand list" -s v -l verbose -d 'Print each step as it is executed, and every path of a plan'
complete -c jailctl -n "__fish_jailctl_using_subcommand list" -s h -l help -d 'Print help'
complete -c jailctl -n "__fish_jailctl_using_subcommand list" -s V -l version -d 'Print version'
complete -c jailctl -n "__fish_jailctl_using_subcommand show" -l root -d 'Use the directory DIR as the host: its programs, accounts, sshd configuration and records' -r -F
complete -c jailctl -n "__fish_jailctl_using_subcommand show" -l json -d 'Print one JSON object'
complete -c jailctl -n "__fish_jailctl_using_subcommand show" -s q -l quiet -d 'Do not print notices'
complete -c jailctl -n "__fish_jailctl_using_subcommand show" -s v -l verbose -d 'Print each step as it is executed, and every path of a plan'
complete -c jailctl -n "__fish_jailctl_using_subcommand show" -s h -l help -d 'Print help'
complete -c jailctl -n "__fish_jailctl_using_subcommand show" -s V -l version -d 'Print version'
complete -c jailctl -n "__fish_jailctl_using_subcommand who" -l json -d 'Print one JSON object'
complete -c jailctl -n "__fish_jailctl_using_subcommand who" -s q -l quiet -d 'Do not print notices'
complete -c jailctl -n "__fish_jailctl_using_subcommand who" -s v -l verbose -d 'Print each step as it is executed, and every path of a plan'
complete -c jailctl -n "__fish_jailctl_using_subcommand who" -s h -l help -d 'Print help'
complete -c jailctl -n "__fish_jailctl_using_subcommand who" -s V -l version -d 'Print version'
complete -c jailctl -n "__fish_jailctl_using_subcommand why" -l root -d 'Use the directory DIR as the host: its programs, accounts, sshd configuration and records' -r -F
complete -c jailctl -n "__fish_jailctl_using_subcommand why" -l json -d 'Print one JSON object'
complete -c jailctl -n "__fish_jailctl_using_subcommand why" -s q -l quiet -d 'Do not print notices'
complete -c jailctl -n "__fish_jailctl_using_subcommand why" -s v -l verbose -d 'Print each step as it is executed, and every path of a plan'
complete -c jailctl -n "__fish_jailctl_using_subcommand why" -s h -l help -d 'Print help'
complete -c jailctl -n "__fish_jailctl_using_subcommand why" -s V -l version -d 'Print version'
complete -c jailctl -n "__fish_jailctl_using_subcommand doctor" -l json -d 'Print one JSON object'
complete -c jailctl -n "__fish_jailctl_using_subcommand doctor" -s q -l quiet -d 'Do not print notices'
complete -c jailctl -n "__fish_jailctl_using_subcommand doctor" -s v -l verbose -d 'Print each step as it is executed, and every path of a plan'
complete -c jailctl -n "__fish_jailctl_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c jailctl -n "__fish_jailctl_using_subcommand doctor" -s V -l version -d 'Print version'
complete -c jailctl -n "__fish_jailctl_using_subcommand remove" -l root -d 'Use the directory DIR as the host: its programs, accounts, sshd configuration and records' -r -F
complete -c jailctl -n "__fish_jailctl_using_subcommand remove" -l lock-timeout -d 'Wait up to SECONDS for another jailctl to finish' -r
complete -c jailctl -n "__fish_jailctl_using_subcommand remove" -l purge -d 'Also delete homes, other files of users, and their mail'
complete -c jailctl -n "__fish_jailctl_using_subcommand remove" -l kill -d 'Terminate the sessions of the jail first'
complete -c jailctl -n "__fish_jailctl_using_subcommand remove" -s n -l dry-run -d 'Show what would be changed, and change nothing'
complete -c jailctl -n "__fish_jailctl_using_subcommand remove" -l json -d 'Print one JSON object'
complete -c jailctl -n "__fish_jailctl_using_subcommand remove" -l no-reload -d 'Do not reload sshd'
complete -c jailctl -n "__fish_jailctl_using_subcommand remove" -s q -l quiet -d 'Do not print notices'
complete -c jailctl -n "__fish_jailctl_using_subcommand remove" -s v -l verbose -d 'Print each step as it is executed, and every path of a plan'
complete -c jailctl -n "__fish_jailctl_using_subcommand remove" -s h -l help -d 'Print help'
complete -c jailctl -n "__fish_jailctl_using_subcommand remove" -s V -l version -d 'Print version'
complete -c jailctl -n "__fish_jailctl_using_subcommand move" -l root -d 'Use the directory DIR as the host: its programs, accounts, sshd configuration and records' -r -F
complete -c jailctl -n "__fish_jailctl_using_subcommand move" -l lock-timeout -d 'Wait up to SECONDS for another jailctl to finish' -r
complete -c jailctl -n "__fish_jailctl_using_subcommand move" -s n -l dry-run -d 'Show what would be changed, and change nothing'
complete -c jailctl -n "__fish_jailctl_using_subcommand move" -l json -d 'Print one JSON object'
complete -c jailctl -n "__fish_jailctl_using_subcommand move" -l no-reload -d 'Do not reload sshd'
complete -c jailctl -n "__fish_jailctl_using_subcommand move" -s q -l quiet -d 'Do not print notices'
complete -c jailctl -n "__fish_jailctl_using_subcommand move" -s v -l verbose -d 'Print each step as it is executed, and every path of a plan'
complete -c jailctl -n "__fish_jailctl_using_subcommand move" -s h -l help -d 'Print help'
complete -c jailctl -n "__fish_jailctl_using_subcommand move" -s V -l version -d 'Print version'
complete -c jailctl -n "__fish_jailctl_using_subcommand purge" -l root -d 'Use the directory DIR as the host: its programs, accounts, sshd configuration and records' -r -F
complete -c jailctl -n "__fish_jailctl_using_subcommand purge" -l lock-timeout -d 'Wait up to SECONDS for another jailctl to finish' -r
complete -c jailctl -n "__fish_jailctl_using_subcommand purge" -s n -l dry-run -d 'Show what would be changed, and change nothing'
complete -c jailctl -n "__fish_jailctl_using_subcommand purge" -l json -d 'Print one JSON object'
complete -c jailctl -n "__fish_jailctl_using_subcommand purge" -l no-reload -d 'Do not reload sshd'
complete -c jailctl -n "__fish_jailctl_using_subcommand purge" -s q -l quiet -d 'Do not print notices'
complete -c jailctl -n "__fish_jailctl_using_subcommand purge" -s v -l verbose -d 'Print each step as it is executed, and every path of a plan'
complete -c jailctl -n "__fish_jailctl_using_subcommand purge" -s h -l help -d 'Print help'
complete -c jailctl -n "__fish_jailctl_using_subcommand purge" -s V -l version -d 'Print version'
complete -c jailctl -n "__fish_jailctl_using_subcommand lock" -l root -d 'Use the directory DIR as the host: its programs, accounts, sshd configuration and records' -r -F
complete -c jailctl -n "__fish_jailctl_using_subcommand lock" -l lock-timeout -d 'Wait up to SECONDS for another jailctl to finish' -r
complete -c jailctl -n "__fish_jailctl_using_subcommand lock" -l kill -d 'Terminate the sessions of the user, too'
complete -c jailctl -n "__fish_jailctl_using_subcommand lock" -s n -l dry-run -d 'Show what would be changed, and change nothing'
complete -c jailctl -n "__fish_jailctl_using_subcommand lock" -l json -d 'Print one JSON object'
complete -c jailctl -n "__fish_jailctl_using_subcommand lock" -l no-reload -d 'Do not reload sshd'
complete -c jailctl -n "__fish_jailctl_using_subcommand lock" -s q -l quiet -d 'Do not print notices'
complete -c jailctl -n "__fish_jailctl_using_subcommand lock" -s v -l verbose -d 'Print each step as it is executed, and every path of a plan'
complete -c jailctl -n "__fish_jailctl_using_subcommand lock" -s h -l help -d 'Print help'
complete -c jailctl -n "__fish_jailctl_using_subcommand lock" -s V -l version -d 'Print version'
complete -c jailctl -n "__fish_jailctl_using_subcommand unlock" -l root -d 'Use the directory DIR as the host: its programs, accounts, sshd configuration and records' -r -F
complete -c jailctl -n "__fish_jailctl_using_subcommand unlock" -l lock-timeout -d 'Wait up to SECONDS for another jailctl to finish' -r
complete -c jailctl -n "__fish_jailctl_using_subcommand unlock" -s n -l dry-run -d 'Show what would be changed, and change nothing'
complete -c jailctl -n "__fish_jailctl_using_subcommand unlock" -l json -d 'Print one JSON object'
complete -c jailctl -n "__fish_jailctl_using_subcommand unlock" -l no-reload -d 'Do not reload sshd'
complete -c jailctl -n "__fish_jailctl_using_subcommand unlock" -s q -l quiet -d 'Do not print notices'
complete -c jailctl -n "__fish_jailctl_using_subcommand unlock" -s v -l verbose -d 'Print each step as it is executed, and every path of a plan'
complete -c jailctl -n "__fish_jailctl_using_subcommand unlock" -s h -l help -d 'Print help'
complete -c jailctl -n "__fish_jailctl_using_subcommand unlock" -s V -l version -d 'Print version'
complete -c jailctl -n "__fish_jailctl_using_subcommand deps" -l root -d 'Use the directory DIR as the host: its programs, accounts, sshd configuration and records' -r -F
complete -c jailctl -n "__fish_jailctl_using_subcommand deps" -l why -d 'Print why the library NAME is needed, from each file down to it' -r
complete -c jailctl -n "__fish_jailctl_using_subcommand deps" -l dlopen -d 'Include libraries of dlopen notes with this priority or a higher one' -r -f -a "required\t''
recommended\t''
suggested\t''
none\t''"
complete -c jailctl -n "__fish_jailctl_using_subcommand deps" -l charset -d 'Include modules that iconv(3) loads for the character set NAME; can be repeated' -r
complete -c jailctl -n "__fish_jailctl_using_subcommand deps" -l json -d 'Print one JSON object'
complete -c jailctl -n "__fish_jailctl_using_subcommand deps" -l tree -d 'Print a tree for each file'
complete -c jailctl -n "__fish_jailctl_using_subcommand deps" -l dot -d 'Print a graph for dot(1)'
complete -c jailctl -n "__fish_jailctl_using_subcommand deps" -l implicit -d 'Include libraries that programs load implicitly: modules of nsswitch.conf, libraries that libc loads'
complete -c jailctl -n "__fish_jailctl_using_subcommand deps" -s q -l quiet -d 'Do not print notices'
complete -c jailctl -n "__fish_jailctl_using_subcommand deps" -s v -l verbose -d 'Print each step as it is executed, and every path of a plan'
complete -c jailctl -n "__fish_jailctl_using_subcommand deps" -s h -l help -d 'Print help'
complete -c jailctl -n "__fish_jailctl_using_subcommand deps" -s V -l version -d 'Print version'
complete -c jailctl -n "__fish_jailctl_using_subcommand enter" -l user -d 'User of the jail [default: the first one]' -r
complete -c jailctl -n "__fish_jailctl_using_subcommand enter" -s q -l quiet -d 'Do not print notices'
complete -c jailctl -n "__fish_jailctl_using_subcommand enter" -s v -l verbose -d 'Print each step as it is executed, and every path of a plan'
complete -c jailctl -n "__fish_jailctl_using_subcommand enter" -s h -l help -d 'Print help'
complete -c jailctl -n "__fish_jailctl_using_subcommand enter" -s V -l version -d 'Print version'
complete -c jailctl -n "__fish_jailctl_using_subcommand stats" -l watch -d 'Repeat every SECONDS until interrupted, with the CPU usage since the last sample' -r
complete -c jailctl -n "__fish_jailctl_using_subcommand stats" -l json -d 'Print one JSON object; with --watch, one per line'
complete -c jailctl -n "__fish_jailctl_using_subcommand stats" -s q -l quiet -d 'Do not print notices'
complete -c jailctl -n "__fish_jailctl_using_subcommand stats" -s v -l verbose -d 'Print each step as it is executed, and every path of a plan'
complete -c jailctl -n "__fish_jailctl_using_subcommand stats" -s h -l help -d 'Print help'
complete -c jailctl -n "__fish_jailctl_using_subcommand stats" -s V -l version -d 'Print version'
complete -c jailctl -n "__fish_jailctl_using_subcommand freeze" -s q -l quiet -d 'Do not print notices'
complete -c jailctl -n "__fish_jailctl_using_subcommand freeze" -s v -l verbose -d 'Print each step as it is executed, and every path of a plan'
complete -c jailctl -n "__fish_jailctl_using_subcommand freeze" -s h -l help -d 'Print help'
complete -c jailctl -n "__fish_jailctl_using_subcommand freeze" -s V -l version -d 'Print version'
complete -c jailctl -n "__fish_jailctl_using_subcommand thaw" -s q -l quiet -d 'Do not print notices'
complete -c jailctl -n "__fish_jailctl_using_subcommand thaw" -s v -l verbose -d 'Print each step as it is executed, and every path of a plan'
complete -c jailctl -n "__fish_jailctl_using_subcommand thaw" -s h -l help -d 'Print help'
complete -c jailctl -n "__fish_jailctl_using_subcommand thaw" -s V -l version -d 'Print version'
complete -c jailctl -n "__fish_jailctl_using_subcommand kill" -l user -d 'Terminate the sessions of this user of the jail only' -r
complete -c jailctl -n "__fish_jailctl_using_subcommand kill" -s q -l quiet -d 'Do not print notices'
complete -c jailctl -n "__fish_jailctl_using_subcommand kill" -s v -l verbose -d 'Print each step as it is executed, and every path of a plan'
complete -c jailctl -n "__fish_jailctl_using_subcommand kill" -s h -l help -d 'Print help'
complete -c jailctl -n "__fish_jailctl_using_subcommand kill" -s V -l version -d 'Print version'
complete -c jailctl -n "__fish_jailctl_using_subcommand schema" -l template -d 'Print the schema of templates, which are partial specs'
complete -c jailctl -n "__fish_jailctl_using_subcommand schema" -s q -l quiet -d 'Do not print notices'
complete -c jailctl -n "__fish_jailctl_using_subcommand schema" -s v -l verbose -d 'Print each step as it is executed, and every path of a plan'
complete -c jailctl -n "__fish_jailctl_using_subcommand schema" -s h -l help -d 'Print help'
complete -c jailctl -n "__fish_jailctl_using_subcommand schema" -s V -l version -d 'Print version'
complete -c jailctl -n "__fish_jailctl_using_subcommand completions" -s q -l quiet -d 'Do not print notices'
complete -c jailctl -n "__fish_jailctl_using_subcommand completions" -s v -l verbose -d 'Print each step as it is executed, and every path of a plan'
complete -c jailctl -n "__fish_jailctl_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c jailctl -n "__fish_jailctl_using_subcommand completions" -s V -l version -d 'Print version'
complete -c jailctl -n "__fish_jailctl_using_subcommand man" -s q -l quiet -d 'Do not print notices'
complete -c jailctl -n "__fish_jailctl_using_subcommand man" -s v -l verbose -d 'Print each step as it is executed, and every path of a plan'
complete -c jailctl -n "__fish_jailctl_using_subcommand man" -s h -l help -d 'Print help'
complete -c jailctl -n "__fish_jailctl_using_subcommand man" -s V -l version -d 'Print version'
