# Circles between source files of a folder: a.c uses what b.c defines and, directly or by others, b.c what a.c defines.
# awk -f circles.awk src/*/*.c; prints "a.c uses NAME of b.c" for each pair of files of a circle; the name is one of them.
function code_of(line,    begin) { # without comments and texts; what is inside is remembered over lines
    if (in_comment) {
        begin = index(line, "*/")
        if (!begin)
            return ""
        line = substr(line, begin + 2)
        in_comment = 0
    }
    gsub(/"(\\.|[^"\\])*"/, "\"\"", line)
    while ((begin = index(line, "/*")) > 0) {
        rest = substr(line, begin + 2)
        line = substr(line, 1, begin - 1)
        if (index(rest, "*/"))
            line = line " " substr(rest, index(rest, "*/") + 2)
        else
            in_comment = 1
    }
    return line
}

# The name that a statement at the left margin defines for other files: of a function or of a variable; "" if none.
function defined(text,    name) {
    if (text !~ /^[a-zA-Z]/ || text ~ /^(static|typedef|extern|struct [a-z_0-9]* \{|enum|union)/)
        return ""
    if (sub(/^SM_CLONES\([a-z_ ]*, /, "", text)) # of a type, a name, parameters
        return substr(text, 1, index(text, ",") - 1)
    if (text ~ /;[ \t]*$/ && text ~ /\)[^=]*;[ \t]*$/ && text !~ /=/)
        return "" # a prototype
    name = text
    sub(/[ \t]*[\[(=;].*/, "", name)
    sub(/^.*[ *(]/, "", name)
    return name ~ /^[a-zA-Z_][a-zA-Z_0-9]*$/ ? name : ""
}

FNR == 1 { in_comment = 0 }

{
    text = code_of($0)
    name = defined(text)
    if (name != "")
        owner[name] = FILENAME
    while (match(text, /[a-zA-Z_][a-zA-Z_0-9]*/)) {
        used[FILENAME, substr(text, RSTART, RLENGTH)] = 1
        text = substr(text, RSTART + RLENGTH)
    }
}

function folder(path) { sub(/\/[^\/]*$/, "", path); return path }

END {
    for (pair in used) {
        split(pair, part, SUBSEP)
        to = owner[part[2]]
        if (to != "" && to != part[1] && folder(to) == folder(part[1])) {
            edge[part[1], to] = part[2]
            file[part[1]] = file[to] = 1
        }
    }
    for (pair in edge)
        reaches[pair] = 1
    for (k in file)
        for (i in file)
            if ((i, k) in reaches)
                for (j in file)
                    if ((k, j) in reaches)
                        reaches[i, j] = 1
    for (pair in edge) {
        split(pair, part, SUBSEP)
        if ((part[2], part[1]) in reaches)
            print part[1] " uses " edge[pair] " of " part[2] ", which uses it in turn"
    }
}
