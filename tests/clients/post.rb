# Posts a photo by Net::HTTP.
# usage: ruby post.rb URL KEY ORGANIZATION PHOTO OUTPUT   prints the status
require 'net/http'

url, key, organization, photo, output = ARGV
uri = URI(url)
request = Net::HTTP::Post.new(uri)
request['X-API-Key'] = key
fields = [%w[provider clipdrop], ['organization_id', organization], %w[extend_left 16], ['image_file', File.open(photo)]]
request.set_form(fields, 'multipart/form-data')
response = Net::HTTP.start(uri.host, uri.port) { |http| http.request(request) }
File.binwrite(output, response.body)
puts response.code
