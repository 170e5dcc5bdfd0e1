"""Textbook chapters as web pages, with all that stands round the text of a page."""

import html

from sample.sources import read

CHROME = {
    "en": {
        "book": "An Open Primer of Medicine",
        "menu": ["Home", "Contents", "Glossary", "Search", "Sign in"],
        "related": "Related chapters",
        "banner": "We use cookies to remember the font size you prefer.",
        "footer": "Written for the bimed sample data. MIT OR Apache-2.0.",
        "next": "Next chapter",
    },
    "ko": {
        "book": "열린 의학 입문",
        "menu": ["처음으로", "차례", "용어집", "검색", "로그인"],
        "related": "관련 단원",
        "banner": "선택하신 글자 크기를 기억하기 위해 쿠키를 사용합니다.",
        "footer": "bimed 예제 데이터를 위해 새로 쓴 글입니다. MIT OR Apache-2.0.",
        "next": "다음 단원",
    },
}


def read_chapters(language):
    chapters = []
    for line in read(f"textbook_{language}.txt").splitlines():
        if line.startswith("# "):
            slug, title = line[2:].split(" | ")
            chapters.append({"slug": slug, "title": title, "blocks": []})
        elif line.startswith("## "):
            chapters[-1]["blocks"].append(("h2", line[3:]))
        elif line.startswith("- "):
            chapters[-1]["blocks"].append(("li", line[2:]))
        elif line.strip():
            chapters[-1]["blocks"].append(("p", line))
    return chapters


def chapter_page(chapter, number, chapters, language):
    chrome = CHROME[language]
    menu = "".join(f'<li><a href="#">{html.escape(item)}</a></li>' for item in chrome["menu"])
    related = "".join(
        f'<li><a href="{place:02}-{other["slug"]}.html">{html.escape(other["title"])}</a></li>'
        for place, other in enumerate(chapters, 1)
        if other is not chapter
    )
    body, in_list = [], False
    for kind, text in chapter["blocks"]:
        if kind == "li" and not in_list:
            body.append("<ul>")
        if kind != "li" and in_list:
            body.append("</ul>")
        in_list = kind == "li"
        body.append(f"<{kind}>{html.escape(text, quote=False)}</{kind}>")
    if in_list:
        body.append("</ul>")
    article = "\n".join(body)
    place = number % len(chapters)
    following = f"{place + 1:02}-{chapters[place]['slug']}.html"
    return f"""<!DOCTYPE html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<title>{html.escape(chapter["title"])} - {chrome["book"]}</title>
<style>nav ul {{ display: flex; }} .banner {{ position: fixed; }}</style>
<script>window.pageviews = (window.pageviews || 0) + 1;</script>
</head>
<body>
<div class="cookie-banner" role="dialog">{chrome["banner"]}</div>
<header class="site-header"><a href="index.html">{chrome["book"]}</a>
<nav class="menu"><ul>{menu}</ul></nav></header>
<main>
<article>
<h1>{number}. {html.escape(chapter["title"])}</h1>
{article}
</article>
</main>
<aside class="sidebar"><h3>{chrome["related"]}</h3><ul>{related}</ul></aside>
<footer class="site-footer"><a href="{following}">{chrome["next"]}</a>
<p>{chrome["footer"]}</p></footer>
</body>
</html>
"""


def make_textbooks():
    files = {}
    for language in ("en", "ko"):
        chapters = read_chapters(language)
        for number, chapter in enumerate(chapters, 1):
            path = f"textbook-{language}/{number:02}-{chapter['slug']}.html"
            files[path] = chapter_page(chapter, number, chapters, language).encode()
    return files
