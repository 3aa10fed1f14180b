"""Completion for bash, zsh and fish.

What can follow is found by one function for a POSIX shell, made from the grammar: it prints a line
a word, with a tab and what the word does, or ``@files`` or ``@directories``. bash and zsh run it
themselves; fish, whose own format that is, has sh run it.
"""

from __future__ import annotations

from collections.abc import Iterator

from bluegreen.cli.reference.grammar import Command, Option

_FUNCTION = """\
# Made from bluegreen's own parser.
__bluegreen_can_follow() {
    local current="$1" command='' place=0 option='' root="${BLUEGREEN_ROOT:-}" word file
    shift
    for word; do
        if [ -n "$option" ]; then
            [ "$option" != --root ] || root=$word
            option=''
            continue
        fi
        case $word in
            %(take_a_value)s) option=$word ;;
            -*) ;;
            *)
                case "${command:+$command }$word" in
                    %(commands)s) command="${command:+$command }$word" ;;
                    *) place=$((place + 1)) ;;
                esac
                ;;
        esac
    done
    case $option in
        '') ;;
%(values)s
        *) return ;;
    esac
    case $current in
        -*)
            case $command in
%(options)s
            esac
            return
            ;;
    esac
    case $command:$place in
%(places)s
    esac
}
"""
_APPS = """\
for file in "$root"/etc/bluegreen/apps/*.toml; do
    file=${file##*/}
    [ "$file" = '*.toml' ] || printf '%s\\n' "${file%.toml}"
done"""

_BASH = """\
_bluegreen() {
    local word found=()
    COMPREPLY=()
    mapfile -t found < <(__bluegreen_can_follow "${COMP_WORDS[@]:COMP_CWORD:1}" \\
        "${COMP_WORDS[@]:1:COMP_CWORD-1}")
    for word in "${found[@]%%$'\\t'*}"; do
        case $word in
            @files) mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$2") ;;
            @directories) mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "$2") ;;
            "$2"*) COMPREPLY+=("$word") ;;
        esac
    done
}
complete -o filenames -F _bluegreen bluegreen
"""

_ZSH = """\
_bluegreen() {
    local line
    local -a found typed
    typed=("$words[CURRENT]" "${(@)words[2,CURRENT-1]}")
    for line in "${(@f)$(emulate sh; __bluegreen_can_follow "${typed[@]}")}"; do
        case $line in
            @files) _files ;;
            @directories) _directories ;;
            ?*) found+=("${${line%%$'\\t'*}//:/\\\\:}${${line#*$'\\t'}:+:${line#*$'\\t'}}") ;;
        esac
    done
    (( ! $#found )) || _describe bluegreen found
}
_bluegreen "$@"
"""

_FISH = """\
function __bluegreen_complete
    set -l typed (commandline -opc)
    set -l current (commandline -ct)
    set -l follow $__bluegreen_function'__bluegreen_can_follow "$@"'
    for line in (sh -c $follow sh "$current" $typed[2..-1])
        switch $line
            case @files
                __fish_complete_path $current
            case @directories
                __fish_complete_directories $current
            case '*'
                echo $line
        end
    end
end
complete -c bluegreen -f -a '(__bluegreen_complete)'
"""


def bash(program: Command) -> str:
    """A file that bash-completion finds under the name ``bluegreen``."""
    return _function(program) + _BASH


def zsh(program: Command) -> str:
    """A file that zsh finds under the name ``_bluegreen``."""
    return f"#compdef bluegreen\n{_function(program)}{_ZSH}"


def fish(program: Command) -> str:
    """A file that fish finds under the name ``bluegreen.fish``."""
    text = _function(program).replace("\\", "\\\\").replace("'", "\\'")
    return f"set -g __bluegreen_function '{text}'\n{_FISH}"


def _function(program: Command) -> str:
    every = list(program.all())
    with_value = _with_value(every)
    return _FUNCTION % {
        "take_a_value": "|".join(flag for option in with_value for flag in option.flags),
        "commands": "|".join(_quoted(command.name) for command in every if command.words),
        "values": "\n".join(
            _case("|".join(option.flags), follows, 2)
            for option in with_value
            if (follows := _follows(option.value, option.choices, option.help))
        ),
        "options": "\n".join(
            _case(_quoted(command.name), _printed(_flags(command)), 4) for command in every
        ),
        "places": "\n".join(
            _case(where, follows, 2) for command in every for where, follows in _places(command)
        ),
    }


def _with_value(commands: list[Command]) -> list[Option]:
    """Each option that takes a value, once: it takes the same one in every command."""
    found: dict[str, Option] = {}
    for command in commands:
        for option in command.options:
            if option.value is not None:
                found.setdefault(option.flags[0], option)
    return list(found.values())


def _flags(command: Command) -> list[tuple[str, str]]:
    return [(option.flags[0], option.help) for option in command.options]


def _places(command: Command) -> Iterator[tuple[str, str]]:
    """A pattern for ``COMMAND:PLACE``, and what can stand there."""
    if command.commands:
        yield (
            f"{_quoted(command.name)}:0",
            _printed([(inner.words[-1], inner.help) for inner in command.commands]),
        )
    for place, argument in enumerate(command.arguments):
        follows = _follows(argument.name, argument.choices, "")
        if follows:
            yield f"{_quoted(command.name)}:{'*' if argument.many else place}", follows


def _follows(name: str | None, choices: tuple[str, ...], text: str) -> str:
    """The shell's commands that print what a value can be; empty where anything can be typed."""
    if choices:
        return _printed([(choice, text) for choice in choices])
    return {"FILE": "echo @files", "DIR": "echo @directories", "APP": _APPS}.get(name or "", "")


def _printed(words: list[tuple[str, str]]) -> str:
    lines = [_quoted(f"{word}\t{text}" if text else word) for word, text in words]
    return " \\\n    ".join(["printf '%s\\n'", *lines])


def _case(pattern: str, commands: str, depth: int) -> str:
    inside = "".join(f"    {line}\n" for line in commands.splitlines())
    text = f"{pattern})\n{inside}    ;;"
    return "\n".join(f"{'    ' * depth}{line}" for line in text.splitlines())


def _quoted(text: str) -> str:
    """In single quotes, as every shell takes them."""
    return "'" + text.replace("'", "'\\''") + "'"
