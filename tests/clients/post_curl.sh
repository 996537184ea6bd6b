#!/bin/sh
# Posts a photo by curl; options that follow go to curl, --http2 for example, which asks for an upgrade.
# usage: post_curl.sh URL KEY ORGANIZATION PHOTO OUTPUT [OPTION ...]   prints the status
set -eu
url=$1 key=$2 organization=$3 photo=$4 output=$5
shift 5
curl --silent --show-error --output "$output" --write-out '%{http_code}\n' --header "X-API-Key: $key" "$@" \
    --form provider=clipdrop --form "organization_id=$organization" --form extend_left=16 --form "image_file=@$photo" "$url"
