# Completion of pm-cli for fish. The program itself knows what fits, names of processes included.
# To try it: pm-cli completion fish | source. To install it: /usr/share/fish/vendor_completions.d/pm-cli.fish

function __pm_cli_complete
    for candidate in (pm-cli __complete -- (commandline --cut-at-cursor --current-process | string collect) 2>/dev/null)
        if test "$candidate" = ":files"
            __fish_complete_path (commandline --current-token --cut-at-cursor)
        else
            echo $candidate
        end
    end
end
complete --command pm-cli --no-files --arguments '(__pm_cli_complete)'
